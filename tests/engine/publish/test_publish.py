"""Publishing: content arrives unharmed in both books, becomes current at once, or nothing changes."""

import datetime as dt
import hashlib
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

from penstock.postgres.book import Book, Books
from penstock.publish import guard
from penstock.publish.publish import publish, publish_group
from penstock.replicated.error import PublishError
from penstock.snapshots.store import SnapshotStore
from penstock.testing import create_book
from penstock.verify.verify import verify
from tests.engine.publishing import declared, numbered, relations, rows_of, typed_tables, write


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(str(tmp_path / "snapshots"))


@pytest.fixture
def books(book: Book, prod_book: Book) -> Books:
    return Books(book, prod_book)


@pytest.fixture(scope="module")
def two_books(postgres: str) -> Books:
    """Books that live as long as this file's tests."""
    return Books(create_book(postgres, "test"), create_book(postgres, "prod"))


def pointer(book: Book, name: str = "numbers") -> tuple[Any, ...]:
    with book.connect() as connection:
        row = connection.execute(
            "SELECT snapshot, physical, rows, as_of FROM replicated.current WHERE table_name = %s", (name,)
        ).fetchone()
    assert row is not None
    return row


def test_both_books_show_the_snapshot_and_say_so(store: SnapshotStore, books: Books) -> None:
    snapshot = write(store, numbered(1000))
    test, prod = publish(snapshot, declared(), books, who="me")
    assert (test.book, prod.book) == ("test", "prod")
    for book, publication in zip(books, (test, prod), strict=True):
        assert len(rows_of(book, "numbers")) == 1000
        assert pointer(book) == (snapshot.id, publication.physical, 1000, snapshot.as_of)
        assert publication.seconds.verify > 0
        assert not publication.skipped


def test_the_id_is_what_a_shell_would_compute_from_the_book(store: SnapshotStore, books: Books) -> None:
    snapshot = write(store, numbered(1000))
    publish(snapshot, declared(), books, who="me")
    for book in books:
        with book.connect() as connection:
            statement = "COPY (SELECT * FROM replicated.numbers ORDER BY key) TO STDOUT (FORMAT binary)"
            with connection.cursor().copy(statement) as copy:
                assert hashlib.sha256(b"".join(copy)).hexdigest() == snapshot.manifest.stream_sha256


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(table=typed_tables())
def test_every_type_arrives_unharmed_in_both_books(table: pa.Table, two_books: Books) -> None:
    store = SnapshotStore("memory://arrives")
    name = "Tabelle \"a\" 'é'"
    snapshot = write(store, table, name, (table.schema.names[0],))
    publish(snapshot, declared(name, (table.schema.names[0],)), two_books, who="me")
    assert {one.equal for one in verify(two_books, store)} == {True}
    stored = snapshot.batches().read_all()
    with two_books.prod.connect() as connection:
        connection.execute("SET timezone = 'UTC'")
        cursor = connection.cursor(binary=True)
        view = '"' + name.replace('"', '""') + '"'
        rows = cursor.execute(f"SELECT * FROM replicated.{view}").fetchall()
    assert stored.schema.names == table.schema.names
    for index, field in enumerate(stored.schema):
        assert [comparable(row[index]) for row in rows] == [comparable(v) for v in stored.column(index).to_pylist()], (
            field
        )


def comparable(value: Any) -> Any:
    """Values that are equal exactly if they are the same: NaN is, -0.0 is not 0.0, a zone does not matter."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else struct.pack("<d", value)
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(dt.UTC).replace(tzinfo=None)
    return value


def test_unchanged_content_is_not_loaded_again_but_known_as_of_later(store: SnapshotStore, books: Books) -> None:
    publish(write(store, numbered(100)), declared(), books, who="me")
    before, tables = pointer(books.test), relations(books.test)
    again = write(store, numbered(100), as_of=before[3] + dt.timedelta(hours=1))
    assert [one.skipped for one in publish(again, declared(), books, who="me")] == [True, True]
    assert relations(books.test) == tables
    assert pointer(books.test)[3] == again.as_of


def test_a_newly_declared_index_is_built_although_the_content_is_unchanged(store: SnapshotStore, books: Books) -> None:
    snapshot = write(store, numbered(100))
    publish(snapshot, declared(), books, who="me")
    assert not publish(snapshot, declared(indexes=[("part",)]), books, who="me")[0].skipped
    assert publish(snapshot, declared(indexes=[("part",)]), books, who="me")[0].skipped


def test_listeners_hear_of_every_switch(store: SnapshotStore, book: Book) -> None:
    with book.connect(autocommit=True) as listener:
        listener.execute("LISTEN penstock")
        snapshot = write(store, numbered(3))
        publish(snapshot, declared(), [book], who="me")
        heard = [notice.payload for notice in listener.notifies(timeout=5, stop_after=1)]
    assert heard == [f"publish numbers {snapshot.id}"]


def test_the_log_of_publications_only_grows(store: SnapshotStore, book: Book) -> None:
    for rows in (3, 4):
        publish(write(store, numbered(rows)), declared(), [book], who="ada")
    with book.connect() as connection:
        logged = connection.execute("SELECT who, rows, replaced IS NULL FROM replicated.publication ORDER BY entry")
        assert logged.fetchall() == [("ada", 3, True), ("ada", 4, False)]
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            connection.execute("DELETE FROM replicated.publication")


def test_prod_without_test_demands_that_test_has_the_snapshot(store: SnapshotStore, books: Books) -> None:
    test, prod = books
    snapshot = write(store, numbered(3))
    for proven_in in (None, test):
        with pytest.raises(PublishError, match="current in TEST first"):
            publish(snapshot, declared(), [prod], who="me", proven_in=proven_in)
    publish(snapshot, declared(), [test], who="me")
    assert publish(snapshot, declared(), [prod], who="me", proven_in=test)[0].book == "prod"


@pytest.mark.parametrize(
    ("rows", "bounds", "said"),
    [
        (0, {"minimum_rows": 1}, "at least 1, found 0"),
        (49, {"largest_drop": 0.5}, "at most 50% fewer than the current 100, found 49"),
    ],
)
def test_too_few_rows_never_replace_a_good_table(
    store: SnapshotStore, books: Books, rows: int, bounds: dict[str, Any], said: str
) -> None:
    publish(write(store, numbered(100)), declared(), books, who="me")
    with pytest.raises(PublishError, match=said):
        publish(write(store, numbered(rows)), declared(**bounds), books, who="me")
    assert [len(rows_of(book, "numbers")) for book in books] == [100, 100]
    assert [len(relations(book)) for book in books] == [1, 1]


def test_a_declaration_that_does_not_fit_the_snapshot_is_refused(store: SnapshotStore, books: Books) -> None:
    snapshot = write(store, numbered(3))
    with pytest.raises(PublishError, match="key of table 'numbers'"):
        publish(snapshot, declared(key=("part",)), books, who="me")
    with pytest.raises(PublishError, match=r"index of 'numbers'.*'nowhere'"):
        publish(snapshot, declared(indexes=[("nowhere",)]), books, who="me")
    with pytest.raises(PublishError, match="table name 'current'"):
        publish(snapshot, declared("current"), books, who="me")


@pytest.mark.slow
def test_as_many_columns_as_postgres_has(store: SnapshotStore, books: Books) -> None:
    table = pa.table(
        [pa.array([1, 2])] + [pa.array([True, None])] * 1599, names=["key", *(f"c{i}" for i in range(1599))]
    )
    publish(write(store, table), declared(), books, who="me")
    assert [one.equal for one in verify(books, store)] == [True, True]


@pytest.mark.slow
def test_a_row_that_does_not_fit_a_page_is_named_and_changes_nothing(store: SnapshotStore, books: Books) -> None:
    wide = {f"c{i}": pa.array([None] * 1500 + [i] * 500, pa.int64()) for i in range(1100)}
    table = pa.table({"key": pa.array(range(7, 2007)), **wide})
    publish(write(store, numbered(3)), declared(), books, who="me")
    with pytest.raises(PublishError, match=r"table .numbers. at key key=1507: .* found row is too big"):
        publish(write(store, table), declared(), books, who="me")
    assert [len(relations(book)) for book in books] == [1, 1]


def test_a_load_that_would_not_fit_is_refused_with_the_figures(
    store: SnapshotStore, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = write(store, numbered(1000))
    (published,) = publish(snapshot, declared(), [book], who="me")
    estimated = guard.estimated_bytes(snapshot, declared())
    assert 0.5 < estimated / published.bytes < 2
    monkeypatch.setattr(guard.shutil, "disk_usage", lambda folder: Mock(free=estimated - 1))
    with pytest.raises(PublishError, match="disk of the book for table 'others'"):
        publish(snapshot, declared("others"), [book], who="me")


def test_several_tables_become_current_in_one_transaction(store: SnapshotStore, books: Books) -> None:
    group = [(write(store, numbered(5), name), declared(name)) for name in ("orders", "lines")]
    publish_group(group, books, who="me")
    with books.prod.connect() as connection:
        stamps = connection.execute("SELECT count(DISTINCT xmin::text), count(*) FROM replicated.current").fetchone()
    assert stamps == (1, 2)


def test_two_physical_tables_stay_and_older_ones_go_after_a_grace(store: SnapshotStore, book: Book) -> None:
    from penstock.replicated import old_tables as retention

    for rows in range(4):
        publish(write(store, numbered(rows)), declared(), [book], who="me")
    assert len(relations(book)) == 4
    with book.connect(autocommit=True) as connection:
        old = retention.superseded(connection, "numbers", grace=dt.timedelta(0))
        assert len(old) == 2
        with book.connect() as reader:
            reader.execute(f'SELECT FROM replicated."{old[0]}"')
            assert retention.drop_tables(connection, old) == old[1:]
    assert len(relations(book)) == 3


def test_a_snapshot_published_again_after_another_is_current_again(store: SnapshotStore, book: Book) -> None:
    first, second = write(store, numbered(1)), write(store, numbered(2))
    for snapshot in (first, second, first):
        publish(snapshot, declared(), [book], who="me")
        assert pointer(book)[0] == snapshot.id
    assert len(rows_of(book, "numbers")) == 1
    assert len(relations(book)) == 3


def test_progress_tells_what_is_done(store: SnapshotStore, book: Book) -> None:
    heard: list[tuple[str, int, int]] = []
    publish(write(store, numbered(100)), declared(), [book], who="me", progress=lambda *said: heard.append(said))
    assert heard[-1] == ("loading", 100, 100)


def test_books_at_other_urls_are_untouched(store: SnapshotStore, book: Book, new_database: Callable[[], str]) -> None:
    other = Book("prod", new_database())
    other.migrate()
    publish(write(store, numbered(3)), declared(), [book], who="me")
    assert relations(other) == set()
