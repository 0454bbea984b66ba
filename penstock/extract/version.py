"""Whether the warehouse can tell, without an extract, that a table is what it was."""

from datetime import datetime

import msgspec

from penstock.declare.shape import shape_text
from penstock.declare.table import ReplicatedTable
from penstock.snapshots.store import Snapshot
from penstock.warehouse.interface import Warehouse


def version_of(warehouse: Warehouse, table: ReplicatedTable) -> str:
    """What the table's version query gives now, as text; empty where none is declared. Asked before the extract: what
    changes in between makes another version at the next one."""
    if not table.version_query:
        return ""
    with warehouse.batches(table.version_query) as batches:
        found = batches.read_all()
    rows = [[str(value) for value in row.values()] for row in found.to_pylist()]
    return msgspec.json.encode({"query": table.version_query, "rows": rows}).decode()


def holds(table: ReplicatedTable, last: Snapshot, version: str, now: datetime) -> bool:
    """Whether `last` is what an extract would give: made by the same declaration at the same version, and not due for
    a full extract."""
    made = last.manifest
    same = (made.query, made.key, made.shape, made.version) == (
        table.query,
        table.key,
        shape_text(table.shape),
        version,
    )
    due = bool(table.watermark) and now - last.full_as_of >= table.full_every
    return bool(version) and same and not due
