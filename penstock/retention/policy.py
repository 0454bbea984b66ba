"""The retention policy: what it lets the store and the books drop, first shown, then dropped."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psycopg

from penstock.journal.reading import KEEP_DAYS
from penstock.postgres.book import Book
from penstock.postgres.pointer import table_records
from penstock.replicated import old_tables as retention
from penstock.replicated.layered_table import layers
from penstock.replicated.physical_table import total_bytes
from penstock.replicated.session import publish_lock
from penstock.retention import snapshots as snapshot_retention
from penstock.settings import BookName
from penstock.snapshots.store import Manifest, SnapshotStore


@dataclass(frozen=True)
class RetentionPolicy:
    """What stays:

    - in the store, of every table the newest `snapshots`, and those younger than `young`;
    - in the books, of every table the newest `tables`, and those that were current within `grace`;
    - whatever is current, what a release was made from, and what replay of the last `replayable` needs."""

    snapshots: int = snapshot_retention.KEEP
    young: timedelta = snapshot_retention.YOUNG
    tables: int = retention.KEEP
    grace: timedelta = retention.GRACE
    replayable: timedelta = timedelta(days=KEEP_DAYS)


@dataclass(frozen=True)
class OldTable:
    """A physical table that can be dropped, with its size on the book's disk."""

    book: BookName
    table: str
    physical: str
    bytes: int


@dataclass(frozen=True)
class Removals:
    """What can be dropped, or was dropped: snapshots, oldest first, and physical tables."""

    snapshots: Sequence[Manifest] = ()
    tables: Sequence[OldTable] = field(default=())

    @property
    def bytes(self) -> int:
        """The size of all of it, in the store and the books."""
        return sum(one.bytes for one in self.snapshots) + sum(one.bytes for one in self.tables)


def droppable(store: SnapshotStore, books: Iterable[Book], policy: RetentionPolicy) -> Removals:
    """What the policy lets go now. Changes nothing.

    A table that is being published keeps all of its physical tables until the next time."""
    needed = snapshot_retention.needed_by(books) | snapshot_retention.replayed_from(books, policy.replayable)
    snapshots = snapshot_retention.superseded(
        store, needed, datetime.now(UTC), keep=policy.snapshots, young=policy.young
    )
    return Removals(snapshots, [old for book in books for old in _old_tables(book, policy)])


def drop(store: SnapshotStore, books: Iterable[Book], found: Removals, policy: RetentionPolicy) -> Removals:
    """Drop what of `found` is still not needed. Returns what was dropped."""
    still = droppable(store, books, policy)
    dropped = {book.name: _drop_tables(book, found.tables, still.tables) for book in books}
    may_go = {one.id for one in still.snapshots}
    snapshots = [one for one in found.snapshots if one.id in may_go]
    snapshot_retention.drop(store, snapshots)
    store.remove_unnamed()
    return Removals(snapshots, [one for one in found.tables if one.physical in dropped[one.book]])


def _old_tables(book: Book, policy: RetentionPolicy) -> list[OldTable]:
    with book.connect(autocommit=True) as connection:
        names = sorted({record.table for record in table_records(connection)})
        return [old for table in names for old in _old_tables_of(connection, book, table, policy)]


def _old_tables_of(connection: psycopg.Connection, book: Book, table: str, policy: RetentionPolicy) -> list[OldTable]:
    with publish_lock(connection, table) as free:
        if not free:
            return []
        old = retention.abandoned(connection, table)
        old += retention.superseded(connection, table, keep=policy.tables, grace=policy.grace)
        return [OldTable(book.name, table, one, total_bytes(connection, layers(connection, one)[-1:])) for one in old]


def _drop_tables(book: Book, found: Sequence[OldTable], still: Sequence[OldTable]) -> set[str]:
    """Drop the book's tables of `found` that are also in `still`, unless a publisher holds the table's lock."""
    wanted = [one for one in found if one.book == book.name and one in still]
    dropped: set[str] = set()
    with book.connect(autocommit=True) as connection:
        for table in sorted({one.table for one in wanted}):
            with publish_lock(connection, table) as free:
                names = [one.physical for one in wanted if free and one.table == table]
                dropped |= set(retention.drop_tables(connection, names))
    return dropped
