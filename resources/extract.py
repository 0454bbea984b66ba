"""Extracts: SQL that runs inside the warehouse, and the snapshots of what it gave."""

from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa

from resources.incremental import WATERMARK, base, changes_query, check_watermark, greatest_watermark, with_changes
from resources.model import Model
from resources.settings import Settings
from resources.snapshots import Snapshot, SnapshotStore
from resources.table import ReplicatedTable
from resources.training_join import training_query
from resources.warehouse import open_warehouse
from schemas.shape import shape_check


def extract(settings: Settings, table: ReplicatedTable) -> Snapshot:
    """The snapshot of a replicated table as the warehouse has it now; ShapeError, and nothing stored, if off.

    Of a table that declares a watermark only what changed since the last snapshot is read from the warehouse, until
    a full extract is due.
    """
    store, now = SnapshotStore(settings.snapshots), settings.now()
    last = base(store, table, now)
    since = greatest_watermark(last, table.watermark) if last else None
    if last is not None and since is not None:
        query = changes_query(table)
        with open_warehouse(settings).batches(query, {WATERMARK: since}, key=table.key) as changes:
            rows = with_changes(last, changes, table)
            if rows is not None:
                return _written(store, table, rows, now, full_as_of=last.full_as_of)
    with open_warehouse(settings).batches(table.query, key=table.key) as batches:
        check_watermark(batches.schema, table)
        return _written(store, table, batches, now)


def _written(
    store: SnapshotStore,
    table: ReplicatedTable,
    rows: pa.RecordBatchReader,
    now: datetime,
    *,
    full_as_of: datetime | None = None,
) -> Snapshot:
    return store.write(
        table.name,
        rows,
        key=table.key,
        query=table.query,
        as_of=now,
        check=shape_check(table.shape, table.name),
        full_as_of=full_as_of,
    )


def extract_training_rows(
    settings: Settings,
    model: Model,
    tables: Mapping[str, ReplicatedTable],
    *,
    name: str,
    since: datetime,
    until: datetime,
) -> Snapshot:
    """The snapshot `name` of a model's rows between two instants, every lookup joined as of the asking time."""
    warehouse = open_warehouse(settings)
    queries = {table.name: table.query for table in tables.values()}
    query = training_query(model.contract, model.query, queries, warehouse.dialect)
    with warehouse.batches(query, {"from": since, "until": until}, key=model.contract.entity) as batches:
        return SnapshotStore(settings.snapshots).write(
            name,
            batches,
            key=model.contract.entity,
            query=query,
            as_of=settings.now(),
            check=shape_check(model.shape, name),
        )
