"""Incremental extracts: what changed since the last snapshot, merged into it while both stream."""

from collections.abc import Iterator
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from model_tools.errors import PenstockError
from resources.column_types import postgres_columns, schema_text, stored_schema
from resources.conform import conform
from resources.copy_stream import CopyEncoder, slices
from resources.key_order import KeyOrder
from resources.merge import merged
from resources.snapshots import Snapshot, SnapshotError, SnapshotStore
from resources.table import ReplicatedTable

WATERMARK = "watermark"
"""The name under which the last snapshot's greatest watermark is bound."""


def changes_query(table: ReplicatedTable) -> str:
    """The rows of the table's query that are new or changed since `:watermark`; rows without one may always be."""
    column = '"' + table.watermark.replace('"', '""') + '"'
    inner = table.query.rstrip().rstrip(";")
    return f"SELECT * FROM ({inner}) AS extract WHERE {column} >= :{WATERMARK} OR {column} IS NULL"


def base(store: SnapshotStore, table: ReplicatedTable, now: datetime) -> Snapshot | None:
    """The snapshot that changes can be merged into; None where the whole table has to be extracted: it declares no
    watermark, a full extract is due, there is no snapshot yet, or it was made by another query or key."""
    if not table.watermark:
        return None
    last = store.latest(table.name)
    if last is None or last.manifest.query != table.query or last.key != table.key:
        return None
    return last if last.rows and now - last.full_as_of < table.full_every else None


def greatest_watermark(snapshot: Snapshot, column: str) -> object | None:
    """The greatest value of the column as Python has it, None where all are null."""
    best: pa.Scalar | None = None
    for batch in snapshot.batches(columns=[column]):
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


def with_changes(last: Snapshot, changes: pa.RecordBatchReader, table: ReplicatedTable) -> pa.RecordBatchReader | None:
    """The rows of `last` with the changed ones replaced and the new ones in between; None where the columns or their
    types are no longer the same. Raises as SnapshotStore.write does for rows that cannot be stored, and SnapshotError
    at the end if the stored rows of `last` are not what they were."""
    schema = stored_schema(changes.schema, table.name)
    if not schema.equals(last.schema):
        return None
    return pa.RecordBatchReader.from_batches(
        schema, merged(_proven(last), _conformed(changes, schema, table), table.key)
    )


def _conformed(changes: pa.RecordBatchReader, schema: pa.Schema, table: ReplicatedTable) -> Iterator[pa.RecordBatch]:
    order = KeyOrder(schema, table.name, table.key)
    for batch in changes:
        conformed = conform(batch, schema, table.name, table.key)
        order.check(conformed)
        yield conformed


def _proven(snapshot: Snapshot) -> Iterator[pa.RecordBatch]:
    """The rows of a snapshot; SnapshotError at the end where their digest is not its id, so that a damaged file
    never becomes part of a new snapshot."""
    encoder = CopyEncoder(snapshot.schema)
    encoder.header()
    for batch in snapshot.batches():
        for piece in slices(batch):
            encoder.rows(piece)
        yield batch
    encoder.end()
    found = encoder.digest.id(schema_text(postgres_columns(snapshot.schema), snapshot.key))
    if found != snapshot.id:
        raise SnapshotError(
            f"snapshot {snapshot.id[:12]} of table {snapshot.name!r}",
            expected=f"content with digest {snapshot.id}",
            found=found,
            todo="The stored file was changed. Remove it from the store, so that the next extract is a full one.",
        )
