"""Where a table in a book first differs from its snapshot."""

from collections.abc import Iterator
from itertools import islice

import psycopg
import pyarrow as pa

from penstock.replicated.digest import catalog_schema, sorted_copy
from penstock.rows.copy_stream import CopyEncoder
from penstock.rows.types import postgres_columns, schema_text
from penstock.snapshots.store import Snapshot

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"


def first_difference(connection: psycopg.Connection, physical: str, snapshot: Snapshot) -> str:
    """One sentence: the columns that differ in name or type, else the key of the first row that differs."""
    expected, found = schema_text(postgres_columns(snapshot.schema), snapshot.key), catalog_schema(connection, physical)
    if expected != found:
        return f"the columns differ: expected {expected.decode()}, found {found.decode()}"
    try:
        with connection.cursor().copy(sorted_copy(physical, snapshot.key)) as copy:
            _compare(snapshot, _without_frame(bytes(row) for row in copy))
    except _Difference as difference:
        return str(difference)
    return "the rows are equal"


class _Difference(Exception):
    """Ends the COPY early, which makes psycopg cancel it. The text is the finding."""


def _compare(snapshot: Snapshot, found: Iterator[bytes]) -> None:
    """Compare batch by batch, and row by row in the first batch that is not equal."""
    rows = 0
    for batch in snapshot.batches():
        block = list(islice(found, batch.num_rows))
        if b"".join(block) != _encoded(batch):
            for index in range(batch.num_rows):
                row: pa.RecordBatch = batch.slice(index, 1)
                key = ", ".join(f"{name}={row.column(name)[0]}" for name in snapshot.key)
                if index >= len(block):
                    raise _Difference(f"row {rows + index + 1}, {key}, is missing")
                if block[index] != _encoded(row):
                    raise _Difference(f"row {rows + index + 1}, {key}, is changed, missing, or after one too many")
        rows += batch.num_rows
    if next(found, None) is not None:
        raise _Difference(f"there are rows too many after the {rows} of the snapshot")


def _encoded(batch: pa.RecordBatch) -> bytes:
    """The COPY bytes of the rows, without header and trailer."""
    return b"".join(CopyEncoder(batch.schema).chunks([batch])).removeprefix(_HEADER).removesuffix(_TRAILER)


def _without_frame(rows: Iterator[bytes]) -> Iterator[bytes]:
    """The row messages of a binary COPY, without the header in the first one and the trailer after the last."""
    for row in rows:
        bare = row.removeprefix(_HEADER)
        if bare and bare != _TRAILER:
            yield bare
