"""What a deploy asks of the code before anything changes."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from penstock.postgres.book import Book
from penstock.releases.ledger import fitting_contracts
from penstock.serving.deploying.code_check import CodeCheck, lost_by, served_by
from tests.checkout import ROOT
from tests.engine.serving import toy
from tests.engine.serving.test_deploy import CONTRACT, DEPLOYMENT, WORDS

CHECK = """
import msgspec, sys
from penstock.postgres.book import Book
from penstock.project import containing
from penstock.serving.deploying.code_check import check_code
found = check_code(containing(sys.argv[1]), ["serve_app.deployment:build"], [Book("prod", sys.argv[2])])
sys.stdout.buffer.write(msgspec.json.encode(found))
"""


@pytest.fixture
def root(tmp_path: Path, book: Book) -> Path:
    """A project of the toy model, which has a release in the book."""
    toy.publish_all(book)
    toy.release(book, str(tmp_path / "store"), tmp_path)
    made = tmp_path / "project"
    files = {
        "pyproject.toml": "[tool.penstock]\n",
        "model_tools/__init__.py": "",
        "model_tools/_words.py": WORDS.format(purpose="x", entity=toy.CONTRACT.entity),
        "model_tools/overflow.py": CONTRACT,
        "serve_app/__init__.py": "",
        "serve_app/deployment.py": DEPLOYMENT,
    }
    for name, text in files.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(text)
    return made


def check(root: Path, book: Book) -> CodeCheck:
    """In a process of its own, as a deploy does: a module of the project is imported once in a process."""
    script = f"import sys; sys.path.append({str(ROOT)!r})\n{CHECK.replace('sys.argv[1]', 'Path(sys.argv[1])')}"
    command = [sys.executable, "-c", f"from pathlib import Path\n{script}", str(root), book.url]
    done = subprocess.run(command, cwd=root, capture_output=True, check=True)
    return msgspec.json.decode(done.stdout, type=CodeCheck)


@pytest.mark.slow
def test_code_that_fits_has_no_fault(root: Path, book: Book) -> None:
    assert check(root, book) == CodeCheck({"overflow": toy.CONTRACT.digest()}, (), (), {})


@pytest.mark.slow
def test_each_file_that_does_not_import_is_named_and_the_application_apart(root: Path, book: Book) -> None:
    (root / "model_tools" / "other.py").write_text("\n1 / 0\n")
    (root / "serve_app" / "deployment.py").write_text("def build(:\n")
    found = check(root, book)
    assert found.broken == ("model_tools/other.py, line 2: ZeroDivisionError: division by zero",)
    assert found.application == ("serve_app/deployment.py, line 1: SyntaxError: invalid syntax",)
    assert found.contracts == {"overflow": toy.CONTRACT.digest()}


@pytest.mark.slow
def test_an_application_without_what_the_configuration_names_is_said(root: Path, book: Book) -> None:
    (root / "serve_app" / "deployment.py").write_text("built = 1\n")
    assert check(root, book).application == (
        "serve_app/deployment.py: expected 'build', which import_path names, found none",
    )


@pytest.mark.slow
def test_a_contract_without_a_release_is_a_loss_only_where_the_model_is_served_now(root: Path, book: Book) -> None:
    (root / "model_tools" / "_words.py").write_text(WORDS.format(purpose="x", entity=("tank",)))
    found, fitting = check(root, book), fitting_contracts(book)
    assert fitting == {"overflow": {toy.CONTRACT.digest()}}
    (fault,) = lost_by(found, {"overflow": toy.CONTRACT.digest()}, fitting)
    assert fault == found.unfit["overflow"]
    assert "no release in PROD has the contract of this code" in fault
    assert lost_by(found, {"overflow": "of another time"}, fitting) == []
    assert served_by({"overflow": toy.CONTRACT.digest(), "new": "x"}, fitting) == {"overflow"}


@pytest.mark.slow
def test_tables_that_lack_what_the_code_looks_up_are_named(root: Path, book: Book) -> None:
    toy.publish(book, "tanks", "name text, shape text", [("t1", "round")], "name")
    with book.connect() as connection:
        connection.execute("DELETE FROM replicated.current WHERE table_name = 'valves'")
    found = check(root, book)
    (fault,) = lost_by(found, {"overflow": toy.CONTRACT.digest()}, fitting_contracts(book))
    assert "model 'overflow', lookups in PROD" in fault
    assert "table 'valves' is not published; column 'height' of table 'tanks' is not there" in fault
    assert "`penstock publish valves tanks`" in fault
