"""Before a deploy, contracts are compared with the releases of the books, those of before included."""

import json
from pathlib import Path

import pytest

from penstock.postgres.book import Book
from tests.engine.projects import CONTRACT, run_in, write_project
from tests.slow import slow_after

CHECK = """
import json, os
from penstock.postgres.book import Book
from penstock.project import find
from penstock.contract.registry import contract
from penstock.serving.deploying.code_check import check_code
check = check_code(find(), [], [Book("prod", os.environ["BOOK"])])
known = contract("small").known_as()
print(json.dumps([known, check.contracts["small"], check.unfit]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("place", slow_after(1, [0, 1, None]), ids=["now", "formerly", "neither"])
def test_a_release_fits_by_the_digest_of_now_and_of_before(place: int | None, tmp_path: Path, book: Book) -> None:
    project = write_project(tmp_path, {"model_tools/small.py": CONTRACT.format(name="small")})
    known, *_ = json.loads(run_in(project, "-c", CHECK, BOOK=book.url).stdout)
    recorded = "0" * 64 if place is None else known[place]
    with book.connect() as connection:
        connection.execute(
            "WITH made AS (INSERT INTO app.release (model, release, action, artifact, contract, period,"
            " training_snapshot, holdout_snapshot, metrics, gate, code_version, who, why) VALUES ('small', 1,"
            " 'release', 'a', %s, '2026-01', '', '', '{}', '{}', '', 'test', '') RETURNING entry)"
            " INSERT INTO app.current_release SELECT 'small', entry, 1, 'a', %s FROM made",
            (recorded, recorded),
        )
    done = run_in(project, "-c", CHECK, BOOK=book.url)
    _, digest, unfit = json.loads(done.stdout)
    assert list(unfit) == (["small"] if place is None else [])
    assert digest == (known[0] if place is None else recorded)
