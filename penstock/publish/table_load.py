"""The load of one snapshot into one book: copy, index, verify, check the lookups; then switch or abandon."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Self

import psycopg

from penstock.declare.table import ReplicatedTable
from penstock.postgres.book import Book
from penstock.postgres.pointer import Pointer, pointer
from penstock.publish.feasibility import check_lookups
from penstock.publish.guard import check_space
from penstock.publish.load_refusal import REFUSALS, explained
from penstock.publish.publication import Publication, Seconds
from penstock.replicated.digest import catalog_schema, table_digest
from penstock.replicated.error import PublishError
from penstock.replicated.layered_table import existing_physical, has_indexes, layers, new_physical
from penstock.replicated.old_tables import abandoned, drop_tables, superseded
from penstock.replicated.physical_table import PhysicalTable, total_bytes
from penstock.replicated.session import publishing_session
from penstock.rows.types import postgres_columns, schema_text
from penstock.snapshots.store import Snapshot

ABANDON_SECONDS = 5


@dataclass(eq=False)
class TableLoad:
    """The state of one publish into one book. It holds the table's publish lock there until it ends."""

    snapshot: Snapshot
    table: ReplicatedTable
    book: Book
    connection: psycopg.Connection
    now: Pointer | None
    physical: PhysicalTable
    started: float = field(default_factory=time.perf_counter)
    seconds: Seconds = field(default_factory=Seconds)
    lookup_p99_ms: dict[str, float] = field(default_factory=dict)
    size: int = 0
    sent: str = ""

    @classmethod
    @contextlib.contextmanager
    def open(
        cls, snapshot: Snapshot, table: ReplicatedTable, book: Book, waiting: Callable[[], None]
    ) -> Iterator[Self]:
        """Take the table's publish lock in the book, and drop the tables that dead publishers left."""
        with publishing_session(book, table.name, waiting) as connection:
            drop_tables(connection, abandoned(connection, table.name))
            now = pointer(connection, table.name)
            if now is not None and _shows(connection, now, snapshot, table):
                physical = existing_physical(connection, now.physical, table, snapshot)
            else:
                physical = new_physical(connection, table, snapshot)
            yield cls(snapshot, table, book, connection, now, physical)

    def is_current(self) -> bool:
        """Whether this content is current in the book already, with every declared index."""
        return self.now is not None and self.now.physical == self.physical.name

    def keep(self) -> None:
        """Keep the current table: check its lookups, and record that its content holds at the snapshot's `as_of`."""
        if self.now is None:
            return
        self._check_feasibility()
        self.size = total_bytes(self.connection, self.physical.tables)
        if self.snapshot.as_of > self.now.as_of:
            self.connection.execute(
                "UPDATE replicated.current SET as_of = %s WHERE table_name = %s",
                (self.snapshot.as_of, self.table.name),
            )

    def check_space(self) -> None:
        """PublishError if the load would not fit on the book's disk."""
        check_space(self.connection, self.physical.source, self.table)

    def load(self, chunks: Iterable[bytes]) -> None:
        """Copy the chunks into the new physical table; PublishError for what Postgres cannot hold."""
        started = time.perf_counter()
        try:
            self.physical.load(self.connection, chunks)
        except REFUSALS as error:
            raise explained(self.connection, self.physical, error) from error
        self.seconds = replace(self.seconds, load=time.perf_counter() - started)

    def prepare(self) -> None:
        """Index, verify and check the loaded table; PublishError if it cannot become current."""
        started = time.perf_counter()
        try:
            self.physical.build_indexes(self.connection, self.table.indexes)
            self.physical.finish(self.connection)
        except REFUSALS as error:
            raise explained(self.connection, self.physical, error) from error
        indexed = time.perf_counter()
        self._verify()
        verified = time.perf_counter()
        self._check_feasibility()
        self.size = total_bytes(self.connection, self.physical.tables)
        self.seconds = replace(
            self.seconds,
            index=indexed - started,
            verify=verified - indexed,
            feasibility=time.perf_counter() - verified,
        )

    def switched(self) -> None:
        """Record the time, and drop the tables that are old enough."""
        now = time.perf_counter()
        done = self.seconds.load + self.seconds.index + self.seconds.verify + self.seconds.feasibility
        self.seconds = replace(self.seconds, total=now - self.started, other=now - self.started - done)
        drop_tables(self.connection, superseded(self.connection, self.table.name))

    def abandon(self) -> None:
        """Drop the new physical table, unless it became current after all.

        The next publish does this if the book is away, or if another publisher holds the lock. The lock of this one
        stays until Postgres has noticed that its connection is closed."""
        with contextlib.suppress(psycopg.Error, PublishError):
            if not self.connection.closed:
                self.connection.close()
            with publishing_session(self.book, self.table.name, lambda: None, ABANDON_SECONDS) as connection:
                names = abandoned(connection, self.table.name)
                drop_tables(connection, [name for name in names if name == self.physical.name])

    def publication(self, *, skipped: bool) -> Publication:
        """What the publish reports for this book."""
        return Publication(
            book=self.book.name,
            table=self.table.name,
            snapshot=self.snapshot.id,
            physical=self.physical.name,
            rows=self.snapshot.rows,
            as_of=max(self.snapshot.as_of, self.now.as_of) if skipped and self.now else self.snapshot.as_of,
            loaded=0 if skipped else sum(list(self.physical.tables.values())[-1:]),
            bytes=self.size,
            skipped=skipped,
            seconds=self.seconds,
            lookup_p99_ms=self.lookup_p99_ms,
        )

    def _check_feasibility(self) -> None:
        self.lookup_p99_ms = check_lookups(self.connection, self.physical, self.table.lookups)

    def _verify(self) -> None:
        """PublishError unless the bytes in the book hash to the digest of those that were `sent`.

        Rows are read as they lie, in the order of the load, which is that of the key: a third faster than by the index.
        """
        found = table_digest(self.connection, self.physical.filled).stream
        schema = catalog_schema(self.connection, self.physical.filled)
        expected = schema_text(postgres_columns(self.physical.schema), self.physical.key)
        if (found, schema) != (self.sent, expected):
            raise PublishError(
                f"content of replicated.{self.physical.filled} in book {self.book.name!r}",
                expected=f"stream digest {self.sent} of {expected.decode()}",
                found=f"{found} of {schema.decode()}",
                todo="The table was not made current. Publish again; if this stays, check the book's disk and memory.",
            )


def _shows(connection: psycopg.Connection, now: Pointer, snapshot: Snapshot, table: ReplicatedTable) -> bool:
    return now.snapshot == snapshot.id and has_indexes(connection, layers(connection, now.physical), table)
