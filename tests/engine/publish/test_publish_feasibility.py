"""Feasibility: a table that cannot be looked up as declared never becomes current."""

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pytest

from penstock.contract.contract import Column, Lookup
from penstock.postgres.book import Book
from penstock.publish.publish import publish
from penstock.replicated.error import PublishError
from penstock.snapshots.store import SnapshotStore
from tests.engine.publishing import declared, numbered, relations, rows_of, write

BY_KEY = Lookup("by_key", "numbers", {"key": "id"}, (Column("value", "number"),))
BY_VALUE = Lookup("by_value", "numbers", {"value": "v"}, (Column("text", "text"),))


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(str(tmp_path / "snapshots"))


def distinct(rows: int) -> pa.Table:
    return numbered(rows).set_column(2, "value", pa.array(range(rows), pa.int64()))


def test_a_lookup_by_the_key_is_served_by_the_primary_key(store: SnapshotStore, book: Book) -> None:
    (published,) = publish(write(store, numbered(5000)), declared(lookups=[BY_KEY]), [book], who="me")
    assert 0 < published.lookup_p99_ms["by_key"] < BY_KEY.budget_ms


def test_a_lookup_without_an_index_stops_all_books_and_proposes_it(
    store: SnapshotStore, book: Book, prod_book: Book
) -> None:
    books = book, prod_book
    publish(write(store, distinct(10)), declared(), books, who="me")
    with pytest.raises(
        PublishError, match=r"Seq Scan on numbers_.*CREATE INDEX ON replicated.\"numbers\" \(\"value\"\)"
    ):
        publish(write(store, distinct(5000)), declared(lookups=[BY_KEY, BY_VALUE]), books, who="me")
    assert [len(rows_of(one, "numbers")) for one in books] == [10, 10]
    assert [len(relations(one)) for one in books] == [1, 1]
    indexed = declared(lookups=[BY_KEY, BY_VALUE], indexes=[("value",)])
    assert set(publish(write(store, distinct(5000)), indexed, books, who="me")[0].lookup_p99_ms) == {
        "by_key",
        "by_value",
    }


def test_a_new_lookup_on_unchanged_content_is_checked_too(store: SnapshotStore, book: Book) -> None:
    snapshot = write(store, distinct(5000))
    publish(snapshot, declared(), [book], who="me")
    with pytest.raises(PublishError, match="Seq Scan"):
        publish(snapshot, declared(lookups=[BY_VALUE]), [book], who="me")


def test_a_lookup_over_its_budget_stops_the_publish(store: SnapshotStore, book: Book) -> None:
    strict = Lookup("strict", "numbers", {"key": "id"}, (Column("value", "number"),), budget_ms=0.0001)
    with pytest.raises(PublishError, match=r"expected at most 0.0001 ms, found p99 of"):
        publish(write(store, numbered(10)), declared(lookups=[strict]), [book], who="me")
    assert relations(book) == set()


def test_a_lookup_that_finds_several_rows_is_refused(store: SnapshotStore, book: Book) -> None:
    with pytest.raises(PublishError, match=r"at most one row for each value, found several for value=0"):
        publish(write(store, numbered(10)), declared(lookups=[BY_VALUE]), [book], who="me")


def test_a_lookup_as_of_is_served_by_the_primary_key(store: SnapshotStore, book: Book) -> None:
    hours = [dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=h) for h in range(1000)]
    table = pa.table(
        {
            "origin": [origin for origin in ("EWR", "JFK", "LGA") for _ in hours],
            "at": pa.array(hours * 3, pa.timestamp("us", "UTC")),
            "wind": [1.5] * 3000,
        }
    )
    lookup = Lookup("w", "weather", {"origin": "o"}, (Column("wind", "number"),), as_of=("at", "asked_at"))
    snapshot = write(store, table, "weather", ("origin", "at"))
    (published,) = publish(snapshot, declared("weather", ("origin", "at"), lookups=[lookup]), [book], who="me")
    assert published.lookup_p99_ms["w"] > 0
