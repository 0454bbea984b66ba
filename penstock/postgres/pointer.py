"""The pointers of `replicated.current`, and the queries that read them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import psycopg


class Pointer(msgspec.Struct, frozen=True):
    """What `replicated.current` says about one replicated table."""

    table: str
    snapshot: str
    physical: str
    rows: int
    as_of: datetime | None
    published_at: datetime | None


Pointers = Mapping[str, Pointer]


async def read_pointers(connection: Any, timeout: float | None = None) -> dict[str, Pointer]:
    """Every pointer of the book that an asyncpg connection is connected to."""
    records = await connection.fetch(
        "SELECT table_name, snapshot, physical, rows, as_of, published_at FROM replicated.current", timeout=timeout
    )
    return {record[0]: Pointer(*record) for record in records}


@dataclass(frozen=True)
class Current:
    """The pointer of one table in one book."""

    snapshot: str
    physical: str
    rows: int
    as_of: datetime


def current(connection: psycopg.Connection, table: str) -> Current | None:
    """The pointer of `table`, or None before its first publish."""
    row = connection.execute(
        "SELECT snapshot, physical, rows, as_of FROM replicated.current WHERE table_name = %s", (table,)
    ).fetchone()
    return Current(*row) if row else None


@dataclass(frozen=True)
class Pointed:
    """What `replicated.current` says about one table."""

    table: str
    snapshot: str
    physical: str
    rows: int
