"""Incremental publishing: the base stays, only what is new or changed is loaded, and every promise holds as before."""

import datetime as dt
import re
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest

from penstock.contract.contract import Column, Lookup
from penstock.postgres.book import Book
from penstock.publish.publish import publish, publish_group
from penstock.replicated.error import PublishError
from penstock.replicated.physical_table import PhysicalTable
from penstock.retention.policy import RetentionPolicy, drop, droppable
from penstock.snapshots.store import Snapshot, SnapshotStore
from penstock.verify.verify import verify
from tests.engine.publishing import NOON, declared, numbered, relations, rows_of, write
from tests.engine.publishing import changed as changed_from

pytestmark = pytest.mark.slow

ROWS = 3000
STRICT = RetentionPolicy(snapshots=1, young=dt.timedelta(0), tables=1, grace=dt.timedelta(0))
EVERYTHING = "SELECT * FROM replicated.numbers ORDER BY key"


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(str(tmp_path / "snapshots"))


@pytest.fixture
def base(store: SnapshotStore) -> Snapshot:
    return write(store, numbered(ROWS))


def changed(store: SnapshotStore, base: Snapshot, *keys: int, value: int = 1) -> Snapshot:
    """`base` with rows of these keys, new ones and others."""
    return changed_from(store, base, numbered(max(keys) + 1, offset=value).take(list(keys)))


def seen(book: Book) -> pa.Table:
    """What a reader of the view sees."""
    with book.connect() as connection:
        rows = connection.execute(EVERYTHING).fetchall()
    return pa.Table.from_pylist([dict(zip(numbered(0).column_names, row, strict=True)) for row in rows])


def test_only_what_changed_is_loaded_and_readers_see_all(
    store: SnapshotStore, base: Snapshot, book: Book, prod_book: Book
) -> None:
    books = book, prod_book
    publish(base, declared(indexes=[("part",)]), books, who="me")
    second = changed(store, base, 5, 77, ROWS, ROWS + 1)
    published = publish(second, declared(indexes=[("part",)]), books, who="me")
    assert [(one.rows, one.loaded) for one in published] == [(ROWS + 2, 4), (ROWS + 2, 4)]
    for one in books:
        assert seen(one).equals(second.batches().read_all().cast(seen(one).schema))
    assert [(found.equal, found.digest) for found in verify(books, store)] == [(True, second.id)] * 2
    again = publish(second, declared(indexes=[("part",)]), books, who="me")
    assert [one.skipped for one in again] == [True, True]


def test_the_next_changes_lie_on_the_same_base(store: SnapshotStore, base: Snapshot, book: Book) -> None:
    publish(base, declared(), [book], who="me")
    for number in range(1, 4):
        publish(changed(store, base, *range(number), value=number), declared(), [book], who="me")
    assert verify([book], store)[0].equal
    with book.connect() as connection:
        assert connection.execute("SELECT count(*) FROM replicated.numbers WHERE value = 3").fetchone() == (3,)
        rows = connection.execute("SELECT base FROM replicated.physical_table WHERE base IS NOT NULL").fetchall()
    assert {name for (name,) in rows} == {f"numbers_{base.id[:12]}"}


def test_a_book_without_the_base_takes_all_rows(
    store: SnapshotStore, base: Snapshot, book: Book, prod_book: Book
) -> None:
    publish(base, declared(), [book], who="me")
    second = changed(store, base, 5, ROWS)
    published = publish(second, declared(), [book, prod_book], who="me")
    assert [one.loaded for one in published] == [2, ROWS + 1]
    assert [found.equal for found in verify([book, prod_book], store)] == [True, True]
    assert sorted(rows_of(book, "numbers")) == sorted(rows_of(prod_book, "numbers"))
    with prod_book.connect() as connection:
        connection.execute(f'UPDATE replicated."{published[1].physical}" SET value = 9 WHERE key = 5')
    assert "row 6, key=5" in verify([prod_book], store)[0].finding


def test_a_new_index_takes_all_rows(store: SnapshotStore, base: Snapshot, book: Book) -> None:
    publish(base, declared(), [book], who="me")
    (published,) = publish(changed(store, base, 5), declared(indexes=[("part",)]), [book], who="me")
    assert published.loaded == ROWS


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("UPDATE BASE SET value = 9 WHERE key = 77", "base numbers_.*: row 78, key=77, is changed"),
        ("DELETE FROM BASE WHERE key = 2999", "base numbers_.*: row 3000, key=2999, is missing"),
        ("UPDATE BASE SET value = 9 WHERE key = 5", "base numbers_.*: row 6, key=5, is changed"),
        ("UPDATE DELTA SET value = 9 WHERE key = 5", "delta numbers_.*: row 1, key=5, is changed"),
        ("DELETE FROM DELTA", "delta numbers_.*: row 1, key=5, is missing"),
        ("INSERT INTO DELTA VALUES (9999, 1, 1, 'x')", "delta numbers_.*: there are rows too many"),
        (
            "CREATE OR REPLACE VIEW LAYERED AS SELECT key, part, value, text FROM DELTA",
            "view replicated.numbers_.* is not what it was",
        ),
        (
            "CREATE OR REPLACE VIEW replicated.numbers AS SELECT key, part, value + 1 AS value, text FROM LAYERED",
            "view replicated.numbers is not what it was",
        ),
        (
            "CREATE OR REPLACE VIEW replicated.numbers AS SELECT key, part, value, text FROM BASE",
            "view replicated.numbers is not what it was",
        ),
        ("DROP VIEW replicated.numbers", "view replicated.numbers is gone"),
        ("DROP TABLE BASE CASCADE", "does not exist"),
    ],
)
def test_tampering_with_any_layer_is_found(
    store: SnapshotStore, base: Snapshot, book: Book, statement: str, finding: str
) -> None:
    publish(base, declared(), [book], who="me")
    (published,) = publish(changed(store, base, 5, ROWS), declared(), [book], who="me")
    assert verify([book], store)[0].equal
    layered = f'replicated."{published.physical}"'
    names = {"BASE": f'replicated."numbers_{base.id[:12]}"', "DELTA": f'{layered[:-1]}_delta"', "LAYERED": layered}
    for name, relation in names.items():
        statement = statement.replace(name, relation)
    with book.connect() as connection:
        connection.execute(statement)
    (found,) = verify([book], store)
    assert not found.equal
    assert re.search(finding, found.finding), found.finding


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE BASE SET value = 9 WHERE key = 77",
        "UPDATE BASE SET value = value WHERE key = 77",
        "INSERT INTO BASE VALUES (99999, 1, 1, 'x')",
        "DELETE FROM BASE WHERE key = 77",
        "WITH gone AS (DELETE FROM BASE WHERE key = 7 RETURNING *) INSERT INTO BASE SELECT key, 1, 9, text FROM gone",
        "TRUNCATE BASE; INSERT INTO BASE SELECT i, 1, 1, 'x' FROM generate_series(0, 2999) i",
    ],
)
@pytest.mark.parametrize("vacuumed", [False, True])
def test_a_base_that_was_written_into_is_not_built_on(
    store: SnapshotStore, base: Snapshot, book: Book, statement: str, vacuumed: bool
) -> None:
    publish(base, declared(), [book], who="me")
    table = f'replicated."numbers_{base.id[:12]}"'
    with book.connect() as connection:
        connection.execute(statement.replace("BASE", table))
    if vacuumed:
        with book.connect(autocommit=True) as connection:
            connection.execute(f"VACUUM (FULL, FREEZE) {table}")
            connection.execute("SELECT pg_stat_reset()")
    (published,) = publish(changed(store, base, 5), declared(), [book], who="me")
    assert published.loaded == ROWS
    assert verify([book], store)[0].equal


def test_a_base_that_was_read_locked_and_vacuumed_is_built_on(store: SnapshotStore, base: Snapshot, book: Book) -> None:
    publish(base, declared(), [book], who="me")
    table = f'replicated."numbers_{base.id[:12]}"'
    with book.connect() as connection:
        connection.execute(f"SELECT * FROM {table} WHERE key < 9 FOR UPDATE")
    with book.connect(autocommit=True) as connection:
        connection.execute(f"VACUUM (FULL, FREEZE) {table}")
        connection.execute("VACUUM (FULL, FREEZE) replicated.physical_table")
    (published,) = publish(changed(store, base, 5), declared(), [book], who="me")
    assert published.loaded == 1
    assert verify([book], store)[0].equal


def test_a_delta_that_does_not_verify_never_becomes_current(
    store: SnapshotStore, base: Snapshot, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(base, declared(), [book], who="me")
    finish = PhysicalTable.finish

    def corrupt(self: PhysicalTable, connection: psycopg.Connection) -> None:
        finish(self, connection)
        connection.execute(f'UPDATE replicated."{self.filled}" SET value = 7')

    monkeypatch.setattr(PhysicalTable, "finish", corrupt)
    with pytest.raises(PublishError, match="was not made current"):
        publish(changed(store, base, 5), declared(), [book], who="me")
    monkeypatch.undo()
    assert relations(book) == {f"numbers_{base.id[:12]}"}
    assert verify([book], store)[0].snapshot == base.id


@pytest.mark.parametrize("step", ["load", "finish"])
def test_what_a_dead_publisher_left_is_cleaned_by_the_next(
    store: SnapshotStore, base: Snapshot, book: Book, step: str
) -> None:
    from penstock.replicated.layered_table import new_physical
    from penstock.replicated.session import publishing_session
    from penstock.snapshots.proof import Proof

    publish(base, declared(), [book], who="me")
    with publishing_session(book, "numbers", lambda: None) as dead:
        left = new_physical(dead, declared(), changed(store, base, 5))
        left.load(dead, Proof(left.source).chunks())
        if step == "finish":
            left.build_indexes(dead, ())
            left.finish(dead)
    assert left.filled in relations(book)
    second = changed(store, base, 6)
    publish(second, declared(), [book], who="me")
    assert relations(book) == {f"numbers_{base.id[:12]}", f"numbers_{second.id[:12]}_delta"}
    assert verify([book], store)[0].equal


def test_tables_of_a_group_become_current_together(store: SnapshotStore, book: Book) -> None:
    pairs = [(write(store, numbered(ROWS), name), declared(name)) for name in ("one", "two")]
    publish_group(pairs, [book], who="me")
    seconds = [(changed(store, pairs[0][0], 3), pairs[0][1]), (write(store, numbered(ROWS + 1), "two"), pairs[1][1])]
    published = publish_group(seconds, [book], who="me")
    assert [one.loaded for one in published] == [1, ROWS + 1]
    assert [found.equal for found in verify([book], store)] == [True, True]


def test_the_newest_row_before_an_instant_is_found_by_the_indexes_of_both_layers(
    store: SnapshotStore, book: Book
) -> None:
    hours = pa.array([NOON + dt.timedelta(hours=i // 3) for i in range(9000)], pa.timestamp("us", "UTC"))
    table = pa.table({"place": pa.array([f"p{i % 3}" for i in range(9000)]), "at": hours, "value": range(9000)})
    ordered = table.sort_by([("place", "ascending"), ("at", "ascending")])
    key = ("place", "at")
    weather = Lookup("w", "numbers", {"place": "place"}, (Column("value", "number"),), as_of=("at", "asked_at"))
    base = write(store, ordered, key=key)
    publish(base, declared(key=key, lookups=[weather]), [book], who="me")
    newer = ordered.slice(0, 4).set_column(2, "value", pa.array([1, 2, 3, -4], pa.int64()))
    second = changed_from(store, base, newer)
    (published,) = publish(second, declared(key=key, lookups=[weather]), [book], who="me")
    assert published.loaded == 4
    assert 0 < published.lookup_p99_ms["w"] < weather.budget_ms
    assert verify([book], store)[0].equal
    for hour, value in ((3, -4), (4, 12), (5000, 8997)):
        with book.connect() as connection:
            found = connection.execute(
                "SELECT value FROM replicated.numbers WHERE place = 'p0' AND at <= %s ORDER BY at DESC LIMIT 1",
                (NOON + dt.timedelta(hours=hour),),
            ).fetchone()
        assert found == (value,)


def test_the_base_stays_as_long_as_anything_lies_on_it(store: SnapshotStore, base: Snapshot, book: Book) -> None:
    publish(base, declared(), [book], who="me")
    made = [changed(store, base, *range(number)) for number in range(1, 5)]
    for snapshot in made:
        publish(snapshot, declared(), [book], who="me")
    found = droppable(store, [book], STRICT)
    assert [one.id for one in found.snapshots] == [one.id for one in made[:-1]]
    assert {one.physical for one in found.tables} == {f"numbers_{one.id[:12]}" for one in made[:-1]}
    assert drop(store, [book], found, STRICT) == found
    assert relations(book) == {f"numbers_{base.id[:12]}", f"numbers_{made[-1].id[:12]}_delta"}
    assert verify([book], store)[0].equal

    whole = write(store, numbered(ROWS + 9))
    publish(whole, declared(), [book], who="me")
    for _ in range(20):  # the delta goes before its base; what autovacuum looks at stays for the next time
        drop(store, [book], droppable(store, [book], STRICT), STRICT)
    assert relations(book) == {f"numbers_{whole.id[:12]}"}
    assert {one.id for one in store.history("numbers")} == {whole.id}
