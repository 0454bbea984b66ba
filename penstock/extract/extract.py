"""Extracts: SQL that runs inside the warehouse, and the snapshots of what it gave."""

from collections.abc import Mapping
from datetime import datetime

from penstock.declare.model import Model
from penstock.declare.shape import shape_check, shape_text
from penstock.declare.table import ReplicatedTable
from penstock.extract.changes import (
    WATERMARK,
    changed_rows,
    changes_query,
    check_watermark,
    continued,
    greatest_watermark,
)
from penstock.extract.training_join import training_query
from penstock.extract.version import holds, version_of
from penstock.settings import Settings
from penstock.snapshots.store import Snapshot, SnapshotStore
from penstock.warehouse.opening import open_warehouse


def extract(settings: Settings, table: ReplicatedTable) -> Snapshot:
    """The snapshot of a replicated table as the warehouse has it now; ShapeError, and nothing stored, if off.

    Of a table that declares a watermark only what changed since the last snapshot is read from the warehouse, until
    a full extract is due. Of one that declares a version query nothing is, while its result stays the same.
    """
    store, now, warehouse = SnapshotStore(settings.snapshots), settings.now(), open_warehouse(settings)
    last = store.latest(table.name)
    version = version_of(warehouse, table)
    if last is not None and holds(table, last, version, now):
        return store.skip(last, now)
    check = shape_check(table.shape, table.name)
    last = continued(table, last, now)
    since = greatest_watermark(last, table.watermark) if last else None
    if last is not None and since is not None:
        with warehouse.batches(changes_query(table), {WATERMARK: since}, key=table.key) as found:
            changes, base = changed_rows(last, found, table), last.base or last
            if changes is not None:
                return store.write_changes(
                    last,
                    changes,
                    lambda rows: base.rows + rows - changes.replaced,
                    as_of=now,
                    check=check,
                    version=version,
                )
    with warehouse.batches(table.query, key=table.key) as batches:
        check_watermark(batches.schema, table)
        return store.write(
            table.name,
            batches,
            key=table.key,
            query=table.query,
            as_of=now,
            check=check,
            shape=shape_text(table.shape),
            version=version,
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
