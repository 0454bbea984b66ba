"""What Postgres refuses while it loads a snapshot, as an error that names the key of the row."""

import re

import psycopg
import pyarrow as pa
from psycopg import sql

from penstock.replicated.error import PublishError
from penstock.replicated.physical_table import PhysicalTable, create_statement
from penstock.rows.copy_stream import CopyEncoder
from penstock.rows.types import postgres_columns

REFUSALS = (psycopg.errors.DataError, psycopg.errors.IntegrityError, psycopg.errors.ProgramLimitExceeded)
"""Errors of Postgres about what is loaded."""
_BUFFERED_ROWS = 1000
"""COPY stores up to this many rows at once (MAX_BUFFERED_TUPLES in Postgres' copyfrom.c). An error of storing names the
last of them, so the refused row is one of this many."""


def explained(connection: psycopg.Connection, physical: PhysicalTable, error: psycopg.Error) -> PublishError:
    """One of REFUSALS as an error that names the column and the key of the row, where Postgres says so much."""
    column, key = "", ""
    if place := re.search(r"line (\d+)(?:, column ([^:\n]+))?", error.diag.context or ""):
        row = int(place[1]) - 1
        column = f"column {place[2]!r} of " if place[2] else ""
        key = _key(physical, row) if place[2] else _refused_key(connection, physical, row, type(error))
    return PublishError(
        f"{column}table {physical.table!r}{f' at key {key}' if key else ''}",
        expected="what Postgres can hold",
        found=str(error.diag.message_primary or error),
        todo="Cast or clean it in the table's query; nothing was changed.",
    )


def _refused_key(
    connection: psycopg.Connection, physical: PhysicalTable, last: int, refusal: type[psycopg.Error]
) -> str:
    """The key of the first row that is refused, among those that were stored at once with row `last`; empty if none is.

    Bisection, each step with a COPY into a temporary table that is rolled back."""
    first = max(0, last + 1 - _BUFFERED_ROWS)
    rows = _rows(physical, first, last + 1 - first)

    def holds(part: pa.Table) -> bool:
        try:
            with connection.transaction(force_rollback=True):
                table = sql.Identifier("trial")
                connection.execute(create_statement(table, postgres_columns(physical.schema), temporary=True))
                with connection.cursor().copy("COPY trial FROM STDIN (FORMAT binary)") as copy:
                    for chunk in CopyEncoder(physical.schema).chunks(part.to_batches()):
                        copy.write(chunk)
        except refusal:
            return False
        return True

    if holds(rows):
        return ""
    low, high = 0, rows.num_rows - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if holds(rows.slice(low, middle + 1 - low)) else (low, middle)
    return _key(physical, first + low)


def _key(physical: PhysicalTable, row: int) -> str:
    for found in _rows(physical, row, 1).select(list(physical.key)).to_pylist():
        return ", ".join(f"{name}={value}" for name, value in found.items())
    return "unknown"


def _rows(physical: PhysicalTable, first: int, count: int) -> pa.Table:
    """The rows [first, first + count) of what is loaded."""
    taken, before = [], 0
    for batch in physical.source.batches():
        start, end = max(first - before, 0), min(first + count - before, batch.num_rows)
        if start < end:
            taken.append(batch.slice(start, end - start))
        before += batch.num_rows
        if before >= first + count:
            break
    return pa.Table.from_batches(taken, physical.schema)
