"""The retention policy: what it names is dropped, and nothing that anybody still needs."""

import os
import time
import uuid
from datetime import timedelta
from pathlib import Path

import pytest

from penstock.postgres.book import Book
from penstock.publish.publish import publish
from penstock.retention.policy import RetentionPolicy, drop, droppable
from penstock.retention.snapshots import replayed_from
from penstock.snapshots.store import SnapshotStore
from tests.engine.publishing import declared, numbered, relations, write

STRICT = RetentionPolicy(snapshots=1, young=timedelta(0), grace=timedelta(0))


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(str(tmp_path))


def journal_a_prediction(book: Book) -> None:
    """One row of the journal, made now."""
    with book.connect() as connection:
        connection.execute(
            """INSERT INTO app.prediction SELECT
               overlay(app.first_id(clock_timestamp())::text PLACING %s FROM 25)::uuid,
               'm', '', now(), now(), '{}', '{}', '', '{}', 1, ''""",
            (uuid.uuid4().hex[:12],),
        )


def test_what_is_shown_is_what_goes_and_the_rest_stays(store: SnapshotStore, book: Book) -> None:
    made = [write(store, numbered(rows)) for rows in range(1, 6)]
    for snapshot in made[:4]:
        publish(snapshot, declared(), [book], who="me")
    found = droppable(store, [book], STRICT)
    assert [one.id for one in found.snapshots] == [one.id for one in made[:3]]
    assert [one.physical for one in found.tables] == [f"numbers_{one.id[:12]}" for one in made[:2]]
    assert len(relations(book)) == 4
    assert found.bytes > sum(one.manifest.bytes for one in made[:3])

    assert drop(store, [book], found, STRICT) == found
    assert relations(book) == {f"numbers_{one.id[:12]}" for one in made[2:4]}
    assert [one.id for one in store.history("numbers")] == [one.id for one in made[3:]]
    assert droppable(store, [book], STRICT).bytes == 0


def test_rows_that_a_killed_extract_left_without_a_manifest_go_once_no_writer_can_need_them(
    store: SnapshotStore, tmp_path: Path, book: Book
) -> None:
    left, fresh, kept = (write(store, numbered(rows)) for rows in (1, 2, 3))
    for snapshot in (left, fresh):
        (tmp_path / "objects" / snapshot.id / "manifest.json").unlink()
        for entry in (tmp_path / "names" / "numbers").glob(f"*{snapshot.id}.json"):
            entry.unlink()
    long_ago = time.time() - 2 * 3600
    os.utime(left.paths[0], (long_ago, long_ago))
    drop(store, [book], droppable(store, [book], STRICT), STRICT)
    assert {path.parent.name for path in tmp_path.rglob("rows.parquet")} == {fresh.id, kept.id}
    assert kept.batches().read_all().num_rows == 3


def test_what_a_journaled_prediction_was_made_from_stays_as_long_as_it_can_be_replayed(
    store: SnapshotStore, book: Book
) -> None:
    made = [write(store, numbered(rows)) for rows in range(1, 5)]
    for snapshot in made:
        publish(snapshot, declared(), [book], who="me")
        if snapshot is made[1]:
            journal_a_prediction(book)
    with book.connect() as connection:
        connection.execute("ALTER TABLE replicated.publication DISABLE TRIGGER append_only")
        connection.execute("UPDATE replicated.publication SET at = at - (5 - entry) * interval '1 hour'")
        connection.execute(
            "UPDATE app.prediction SET id = overlay(id::text PLACING left(app.first_id("
            "now() - interval '150 minutes')::text, 13) FROM 1 FOR 13)::uuid"
        )
    assert replayed_from([book], timedelta(hours=7)) == {made[1].id}
    assert replayed_from([book], timedelta(hours=2)) == set()
    assert [one.id for one in droppable(store, [book], STRICT).snapshots] == [made[0].id, made[2].id]


def test_a_table_that_is_being_published_is_left_alone(store: SnapshotStore, book: Book) -> None:
    for rows in range(1, 5):
        publish(write(store, numbered(rows)), declared(), [book], who="me")
    found = droppable(store, [book], STRICT)
    with book.connect(autocommit=True) as publisher:
        publisher.execute("SELECT pg_advisory_lock(hashtextextended('penstock.publish numbers', 0))")
        assert droppable(store, [book], STRICT).tables == []
        assert drop(store, [book], found, STRICT).tables == []
    assert len(relations(book)) == 4
