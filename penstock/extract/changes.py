"""Incremental extracts: what changed since the last snapshot, on top of the last one that was extracted whole."""

from collections.abc import Iterator
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from penstock.declare.shape import shape_text
from penstock.declare.table import ReplicatedTable
from penstock.errors import PenstockError
from penstock.extract.changed_rows import ChangedRows
from penstock.rows.conform import conform
from penstock.rows.key_order import KeyOrder
from penstock.rows.merge import merged
from penstock.rows.types import stored_schema
from penstock.snapshots.proof import check_file
from penstock.snapshots.snapshot import Snapshot, SnapshotError

WATERMARK = "watermark"
"""The name under which the last snapshot's greatest watermark is bound."""


def changes_query(table: ReplicatedTable) -> str:
    """The rows of the table's query that are new or changed since `:watermark`; rows without one may always be."""
    column = '"' + table.watermark.replace('"', '""') + '"'
    inner = table.query.rstrip().rstrip(";")
    return f"SELECT * FROM ({inner}) AS extract WHERE {column} >= :{WATERMARK} OR {column} IS NULL"


def continued(table: ReplicatedTable, last: Snapshot | None, now: datetime) -> Snapshot | None:
    """`last` where changes can be added to it; None where the whole table has to be extracted: it declares no
    watermark, a full extract is due, there is no snapshot yet, it was made by another query, key or shape, or the
    changes since the last full extract are too many.

    SnapshotError where the stored files of `last` are not what they were.
    """
    if not table.watermark or last is None or not last.rows:
        return None
    base, text = last.base or last, shape_text(table.shape)
    if (last.manifest.query, last.key, last.manifest.shape) != (table.query, table.key, text):
        return None
    if now - last.full_as_of >= table.full_every or last.manifest.delta_rows > table.largest_delta * base.rows:
        return None
    for one in (base,) if last.base is None else (base, last.own):
        if not one.manifest.file_sha256:
            return None
        if not check_file(one):
            raise SnapshotError(
                f"snapshot {one.id[:12]} of table {one.name!r}",
                expected=f"a file with the SHA-256 digest {one.manifest.file_sha256}",
                found="another",
                todo="The stored file was changed. Remove it from the store, so that the next extract is a full one.",
            )
    return last


def greatest_watermark(snapshot: Snapshot, column: str) -> object | None:
    """The greatest value of the column that was ever extracted into it, None where all are null."""
    best: pa.Scalar | None = None
    for one in (snapshot.base, snapshot.own):
        for batch in one.batches(1 << 20, columns=[column]) if one is not None else ():
            found = pc.max(batch.column(0))
            if found.is_valid and (best is None or pc.less(best, found).as_py()):
                best = found
    return best.as_py() if best is not None else None


def check_watermark(schema: pa.Schema, table: ReplicatedTable) -> None:
    """PenstockError where the declared watermark is not a column that ascends."""
    if not table.watermark:
        return
    kind = schema.field(table.watermark).type if table.watermark in schema.names else None
    if kind is None or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        raise PenstockError(
            f"watermark {table.watermark!r} of table {table.name!r}",
            expected=f"a time, whole number, decimal or text among {', '.join(schema.names)}",
            found=str(kind) if kind is not None else "no such column",
            todo="Select the column in the table's query or correct the declaration.",
        )


def changed_rows(last: Snapshot, found: pa.RecordBatchReader, table: ReplicatedTable) -> ChangedRows | None:
    """All rows that are new or changed since the base of `last`, of which those just `found` are the newest; None
    where the columns or their types are no longer the same. Raises as SnapshotStore.write does for rows that cannot
    be stored."""
    schema = stored_schema(found.schema, table.name)
    if not schema.equals(last.schema):
        return None
    before = last.own.batches() if last.base is not None else ()
    newest = merged(before, _conformed(found, schema, table), table.key)
    return ChangedRows(last.base or last, newest, table.watermark)


def _conformed(changes: pa.RecordBatchReader, schema: pa.Schema, table: ReplicatedTable) -> Iterator[pa.RecordBatch]:
    order = KeyOrder(schema, table.name, table.key)
    for batch in changes:
        conformed = conform(batch, schema, table.name, table.key)
        order.check(conformed)
        yield conformed
