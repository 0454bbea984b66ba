"""One training run can be read from its extract to both releases: it goes through few files."""

from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from penstock.postgres.book import Book
from penstock.training.run import TrainingRun
from tests.engine.training.tank_declarations import declared
from tests.engine.training.tanks import settings_in
from tests.engine.walk import Trace

MOST_FILES = 35
"""Of the room, and those of other rooms that it calls: an extract or the packing of a model is a walk of its own."""
QUERY = "SELECT * FROM asked WHERE asked_at >= :from AND asked_at < :until"


@pytest.mark.slow
def test_a_training_run_goes_through_few_files(tmp_path: Path, book: Book, prod_book: Book) -> None:
    settings = settings_in(tmp_path)
    with duckdb.connect(str(settings.warehouse_file)) as warehouse:
        warehouse.execute(
            "CREATE TABLE asked AS SELECT i AS tank, sin(i * 7.1) AS inflow, cos(i * 3.3) AS level, 'north' AS site,"
            " TIMESTAMPTZ '2026-02-20 00:00:00+00' + to_minutes(CAST(i * 10 AS INTEGER)) AS asked_at,"
            " CAST(sin(i * 7.1) + cos(i * 3.3) / 4 > 0 AS BIGINT) AS overflows FROM range(5000) t(i)"
        )
    run = TrainingRun(settings, replace(declared().model("overflow"), every="day", query=QUERY), "2026-03-20")

    def from_warehouse_to_prod() -> None:
        training, holdout = run.extract_both()
        compared = run.compare_with_serving(holdout, book)
        made = run.train(training, holdout, compared, book, lambda _: None)
        run.release_to_test(made.proposal, book, who="me", why="test")
        run.release_to_prod(made.proposal, book, prod_book, who="me", why="test")

    with Trace() as trace:
        trace.of(from_warehouse_to_prod)
        walked = trace.of_rooms("training")
    assert {"training/run.py", "training/gate.py", "releases/ledger.py"} <= walked
    walked -= {"settings.py", "code_version.py"}
    assert len(walked) <= MOST_FILES, sorted(walked)
