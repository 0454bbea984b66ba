"""What an extract need not read again: whether a table is unchanged, and the query of what changed."""

from datetime import datetime

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from penstock.declare.shape import shape_text
from penstock.declare.table import ReplicatedTable
from penstock.errors import PenstockError
from penstock.snapshots.proof import check_file
from penstock.snapshots.snapshot import Recipe, Snapshot, SnapshotError
from penstock.warehouse.interface import Warehouse, quoted
from penstock.warehouse.query_text import subquery

WATERMARK = "watermark"
"""The name under which the last snapshot's greatest watermark is bound."""


def recipe_of(table: ReplicatedTable, warehouse: Warehouse) -> Recipe:
    """How the table is extracted now, with the result of its version query.

    It is asked before the extract, so that what changes in between is another version at the next extract.
    """
    recipe = Recipe(table.query, table.key, shape_text(table.rows_shape), dialect=warehouse.dialect)
    if not table.version_query:
        return recipe
    with warehouse.batches(table.version_query) as batches:
        found = batches.read_all()
    rows = [[str(value) for value in row.values()] for row in found.to_pylist()]
    return recipe.at(msgspec.json.encode({"query": table.version_query, "rows": rows}).decode())


def unchanged(table: ReplicatedTable, recipe: Recipe, last: Snapshot, now: datetime) -> bool:
    """Whether an extract would return the content of `last`: same recipe, a known version, no full extract due."""
    return bool(recipe.version) and last.manifest.recipe == recipe and not _full_extract_due(table, last, now)


def extendable(table: ReplicatedTable, recipe: Recipe, last: Snapshot | None, now: datetime) -> Snapshot | None:
    """The snapshot to extend, or None if a full extract is needed, see `full_because`.

    SnapshotError where a stored file of the snapshot was changed.
    """
    if last is None or full_because(table, recipe, last, now):
        return None
    for one in (last,) if last.base is None else (last.base, last.own):
        if not check_file(one):
            raise SnapshotError(
                f"snapshot {one.id[:12]} of table {one.name!r}",
                expected=f"a file with the SHA-256 digest {one.manifest.file_sha256}",
                found="another",
                todo="The stored file was changed. Remove it from the store, so that the next extract is a full one.",
            )
    return last


def full_because(table: ReplicatedTable, recipe: Recipe, last: Snapshot | None, now: datetime) -> str:
    """Why a full extract is needed; empty where only the changes since `last` are."""
    if last is None or not last.rows:
        return "no snapshot with rows yet"
    if not table.watermark:
        return "the table declares no watermark"
    base = last.base or last
    reasons = {
        "the query, the key, the shape or the kind of warehouse was changed": last.manifest.recipe.at(recipe.version)
        != recipe,
        f"the last full extract is older than {table.full_every}": _full_extract_due(table, last, now),
        f"more than {table.largest_delta:.0%} of the rows have changed since the last full extract": (
            last.manifest.delta_rows > table.largest_delta * base.rows
        ),
        "the last snapshot is too old to have the digest of its file": not (
            base.manifest.file_sha256 and last.manifest.file_sha256
        ),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def changes_query(table: ReplicatedTable) -> str:
    """The rows of the table's query whose watermark is at least `:watermark`, and those without a watermark."""
    column, inner = quoted(table.watermark), subquery(table.query)
    return f"SELECT * FROM (\n{inner}) AS extract WHERE {column} >= :{WATERMARK} OR {column} IS NULL"


def greatest_watermark(snapshot: Snapshot, column: str) -> object | None:
    """The greatest value of the column in the snapshot and its base, None where all are null."""
    best: pa.Scalar | None = None
    for one in (snapshot.base, snapshot.own):
        for batch in one.batches(1 << 20, columns=[column]) if one is not None else ():
            found = pc.max(batch.column(0))
            if found.is_valid and (best is None or pc.less(best, found).as_py()):
                best = found
    return best.as_py() if best is not None else None


def check_watermark(schema: pa.Schema, table: ReplicatedTable) -> None:
    """PenstockError where the declared watermark is not a column of a type that can only grow."""
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


def _full_extract_due(table: ReplicatedTable, last: Snapshot, now: datetime) -> bool:
    return bool(table.watermark) and now - last.full_as_of >= table.full_every
