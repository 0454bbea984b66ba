"""The pointers: which snapshot of each replicated table is current in a book, and the one query that reads them."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import psycopg  # a replica reads pointers through asyncpg

POINTERS = "SELECT table_name, snapshot, physical, rows, as_of, published_at FROM replicated.current"


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
    kept = connection.execute("SELECT table_name, snapshot, physical FROM replicated.physical_table").fetchall()
    found = {(table, snapshot): physical for table, snapshot, physical in kept}
    return found | {(one.table, one.snapshot): one.physical for one in pointers(connection).values()}


def _by_table(rows: list[Any]) -> dict[str, Pointer]:
    return {row[0]: Pointer(*row) for row in rows}
