"""Advice: what a table would take in a book, measured there without leaving anything."""

from pathlib import Path

import duckdb
import pytest

from penstock.postgres.book import Book
from penstock.publish.advice import advise
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from tests.engine.publishing import relations


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBWarehouse:
    file = tmp_path / "any.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            """CREATE TABLE readings AS
               SELECT i // 24 AS station, i % 24 AS hour, i / 7.0::DOUBLE AS value, 'same' AS word
               FROM range(2400) t(i)"""
        )
    return DuckDBWarehouse(str(file))


def test_a_unique_pair_of_columns_is_found_and_measured(warehouse: DuckDBWarehouse, book: Book) -> None:
    advice = advise(warehouse, book, "readings", "SELECT * FROM readings")
    assert (advice.rows, advice.sampled, advice.verdict) == (2400, 2400, "join on demand")
    (candidate,) = advice.candidates
    assert candidate.columns == ("station", "hour")
    assert candidate.lookup_p99_ms > 0
    assert advice.bytes > 2400 * 24
    assert relations(book) == set()


def test_a_table_without_a_key_is_to_be_prejoined(warehouse: DuckDBWarehouse, book: Book) -> None:
    advice = advise(warehouse, book, "readings", "SELECT station, word FROM readings")
    assert (advice.verdict, advice.candidates) == ("prejoin", ())
    assert "unique" in advice.reason


def test_a_key_that_is_unique_only_in_a_part_is_not_proposed(warehouse: DuckDBWarehouse, book: Book) -> None:
    advice = advise(warehouse, book, "readings", "SELECT * FROM readings", [("station",), ("word", "station", "hour")])
    assert ("station",) not in [candidate.columns for candidate in advice.candidates]
    assert advice.candidates[0].columns == ("word", "station", "hour")
