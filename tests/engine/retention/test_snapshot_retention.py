"""Retention of snapshots: what is new, young or needed stays, the rest can go."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from penstock.postgres.book import Book
from penstock.publish.publish import publish
from penstock.retention.snapshots import drop, needed_by, superseded
from penstock.snapshots.store import SnapshotError, SnapshotStore
from tests.engine.publishing import declared, numbered, write

OLD = timedelta(0)


def test_all_but_the_newest_may_go_unless_young_or_needed(tmp_path: Path, book: Book) -> None:
    store, now = SnapshotStore(str(tmp_path)), datetime.now(UTC) + timedelta(days=1)
    made = [write(store, numbered(rows)) for rows in range(5)]
    publish(made[0], declared(), [book], who="me")
    assert superseded(store, set(), now, keep=2) == []
    assert [one.rows for one in superseded(store, set(), now, keep=2, young=OLD)] == [0, 1, 2]
    assert [one.rows for one in superseded(store, needed_by([book]), now, keep=2, young=OLD)] == [1, 2]


def test_content_that_another_table_keeps_stays(tmp_path: Path) -> None:
    store, now = SnapshotStore(str(tmp_path)), datetime.now(UTC)
    for rows in (1, 2):
        write(store, numbered(rows), "here")
    write(store, numbered(1), "there")
    assert superseded(store, set(), now, keep=1, young=OLD) == []


def test_a_dropped_snapshot_leaves_nothing(tmp_path: Path) -> None:
    store = SnapshotStore(str(tmp_path))
    first, second = write(store, numbered(1)), write(store, numbered(2))

    def files() -> list[Path]:
        return [path for path in tmp_path.rglob(f"*{first.id}*") if path.is_file()]

    assert files()
    assert drop(store, [first.manifest]) == first.manifest.bytes
    with pytest.raises(SnapshotError):
        store.open(first.id)
    assert [one.id for one in store.history("numbers")] == [second.id]
    assert files() == []
