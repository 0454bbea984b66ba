"""Extracts: SQL that runs inside the warehouse, and the snapshots of what it gave."""

from collections.abc import Mapping
from datetime import datetime

from resources.model import Model
from resources.settings import Settings
from resources.snapshots import Snapshot, SnapshotStore
from resources.table import ReplicatedTable
from resources.training_join import training_query
from resources.warehouse import open_warehouse
from schemas.shape import shape_check


def extract(settings: Settings, table: ReplicatedTable) -> Snapshot:
    """The snapshot of a replicated table as the warehouse has it now; ShapeError, and nothing stored, if off."""
    warehouse = open_warehouse(settings)
    with warehouse.batches(table.query, key=table.key) as batches:
        return SnapshotStore(settings.snapshots).write(
            table.name,
            batches,
            key=table.key,
            query=table.query,
            as_of=settings.now(),
            check=shape_check(table.shape, table.name),
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
