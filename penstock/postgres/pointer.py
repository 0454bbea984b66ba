"""What a book holds of replicated tables: pointers and physical tables, each with the one query that reads it."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import psycopg  # a replica reads pointers through asyncpg

POINTERS = "SELECT table_name, snapshot, physical, rows, as_of, published_at FROM replicated.current"
RECORDS = "SELECT table_name, snapshot, physical, base, delta, ordered FROM replicated.physical_table"


class PinnedTable(msgspec.Struct, frozen=True):
    """One physical table of a replicated table, and the snapshot that it holds: what a lookup reads."""

    table: str
    snapshot: str
    physical: str


class Pointer(PinnedTable, frozen=True):
    """One row of `replicated.current`.

    - `as_of`: the instant that the content tells about.
    - `published_at`: when it became current.
    """

    rows: int
    as_of: datetime
    published_at: datetime


class TableRecord(PinnedTable, frozen=True):
    """One row of `replicated.physical_table`.

    - `base`, `delta`: the tables of the layers that it is a view over; None where it is a table itself.
    - `ordered`: the columns that the view orders the base by.
    """

    base: str | None
    delta: str | None
    ordered: list[str] | None

    @property
    def layers(self) -> tuple[str, ...]:
        """The tables that hold the rows: base and delta, or itself."""
        return (self.base, self.delta) if self.base is not None and self.delta is not None else (self.physical,)


PinnedTables = Mapping[str, PinnedTable]
Pointers = Mapping[str, Pointer]


async def read_pointers(connection: Any, timeout: float | None = None) -> dict[str, Pointer]:
    """All pointers of the book that an asyncpg connection is connected to, by table."""
    return _by_table(await connection.fetch(POINTERS, timeout=timeout))


def pointers(connection: "psycopg.Connection") -> dict[str, Pointer]:
    """All pointers of a book, by table in name order."""
    return _by_table(connection.execute(POINTERS + " ORDER BY table_name").fetchall())


def pointer(connection: "psycopg.Connection", table: str) -> Pointer | None:
    """The pointer of `table`, None before its first publish."""
    row = connection.execute(POINTERS + " WHERE table_name = %s", (table,)).fetchone()
    return Pointer(*row) if row else None


def physical_tables(connection: "psycopg.Connection") -> dict[tuple[str, str], str]:
    """Table and snapshot -> the physical table that holds it, of every one that the book has."""
    held: list[PinnedTable] = [*table_records(connection), *pointers(connection).values()]
    return {(one.table, one.snapshot): one.physical for one in held}


def table_records(connection: "psycopg.Connection") -> list[TableRecord]:
    """The records of all physical tables of a book."""
    return [TableRecord(*row) for row in connection.execute(RECORDS).fetchall()]


def table_record(connection: "psycopg.Connection", physical: str) -> TableRecord | None:
    """The record of one physical table, None if there is none."""
    row = connection.execute(RECORDS + " WHERE physical = %s", (physical,)).fetchone()
    return TableRecord(*row) if row else None


def _by_table(rows: list[Any]) -> dict[str, Pointer]:
    return {row[0]: Pointer(*row) for row in rows}
