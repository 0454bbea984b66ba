"""The metadata that a step shows in the Dagster UI: schemas, queries, tables of rows, plots."""

import base64
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import dagster as dg
import pandera.pandas as pa

from penstock.declare.shape import ShapeError, described
from penstock.publish.publication import Publication
from penstock.quantity import counted
from penstock.snapshots.store import Snapshot

HISTORY = 60
FAILURES_SHOWN = 50


def image(png: bytes) -> dg.MarkdownMetadataValue:
    """A picture that the UI shows within the page."""
    return dg.MetadataValue.md(f"![plot](data:image/png;base64,{base64.b64encode(png).decode()})")


def as_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> dg.TableMetadataValue:
    """Rows as Dagster's own table, whose cells stand in the order of the columns.

    - A float is shown with six significant digits.
    - NaN and infinity are empty cells, because the UI shows no row that is not JSON.
    - What Dagster has no type for is shown as text.
    - A column has the type of all its filled cells, or is text.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    types = [_type([row[place] for row in cells]) for place in range(len(columns))]
    schema = dg.TableSchema([dg.TableColumn(name, kind) for name, kind in zip(columns, types, strict=True)])
    return dg.MetadataValue.table([dg.TableRecord(dict(zip(columns, row, strict=True))) for row in cells], schema)


def column_schema(shape: pa.DataFrameSchema, snapshot: Snapshot, told: Mapping[str, str] = {}) -> dg.TableSchema:
    """The declared shape as Dagster's schema of columns, and behind it the other columns that `told` describes."""
    columns = [
        dg.TableColumn(
            name=row["column"],
            type=row["type"].removesuffix("[pyarrow]"),
            description="; ".join(filter(None, [told.get(row["column"]), row["checks"]])) or None,
            constraints=dg.TableColumnConstraints(nullable=row["nullable"]),
        )
        for row in described(shape)
    ]
    further = {name: kind for name, kind in snapshot.manifest.columns if name in told and name not in shape.columns}
    return dg.TableSchema([*columns, *(dg.TableColumn(name, kind, told[name]) for name, kind in further.items())])


def snapshot_evidence(snapshot: Snapshot, shape: pa.DataFrameSchema, told: Mapping[str, str] = {}) -> dict[str, Any]:
    """Rows, size, digest, query and schema of a snapshot; `told` describes its columns."""
    return {
        "dagster/row_count": snapshot.rows,
        "dagster/column_schema": column_schema(shape, snapshot, told),
        "extract": snapshot.manifest.how,
        "rows_in_file": snapshot.file_rows,
        "base": snapshot.base.id if snapshot.base else "",
        "bytes": snapshot.manifest.bytes,
        "snapshot": snapshot.id,
        "as_of": dg.MetadataValue.timestamp(snapshot.as_of),
        "full_extract_as_of": dg.MetadataValue.timestamp(snapshot.full_as_of),
        "query": dg.MetadataValue.md(f"```sql\n{snapshot.manifest.query.strip()}\n```"),
    }


def failing_rows(error: ShapeError) -> dict[str, dg.MetadataValue[Any]]:
    """The number of values that fail the shape, and the first of them as a table."""
    shown = error.failures.head(FAILURES_SHOWN)
    return {
        "failing_values": dg.MetadataValue.int(len(error.failures)),
        "failing_rows": as_table([str(name) for name in shown], shown.itertuples(index=False, name=None)),
    }


def publication_evidence(publication: Publication, now: datetime) -> dict[str, Any]:
    """Rows, speed, digest, age and lookup times of one table in one book."""
    evidence: dict[str, Any] = {
        "dagster/row_count": publication.rows,
        "bytes": publication.bytes,
        "snapshot": publication.snapshot,
        "physical_table": publication.physical,
        "loaded": "no, already current" if publication.skipped else counted(publication.loaded, "row"),
        "as_of": dg.MetadataValue.timestamp(publication.as_of),
        "age_hours": (now - publication.as_of).total_seconds() / 3600,
        "seconds": publication.seconds.total,
        "seconds_load": publication.seconds.load,
        "seconds_index": publication.seconds.index,
        "seconds_verify": publication.seconds.verify,
    }
    if not publication.skipped:
        evidence["rows_per_second"] = round(publication.rows_per_second)
    for lookup, milliseconds in publication.lookup_p99_ms.items():
        evidence[f"lookup_p99_ms {lookup}"] = milliseconds
    return evidence


def publish_history(context: dg.AssetExecutionContext, key: dg.AssetKey, rows: int) -> dg.MarkdownMetadataValue:
    """A plot of a published table: its rows and the hours between its publishes, of the last ones and this one."""
    counts = [*_past_numbers(context, key, "dagster/row_count"), (time.time(), float(rows))]
    gaps = [(later, (later - earlier) / 3600) for (earlier, _), (later, _) in pairwise(counts)]
    return image(_two_plots(counts, gaps, f"{key.path[-1]} in {key.path[0].upper()}"))


def _past_numbers(context: dg.AssetExecutionContext, key: dg.AssetKey, name: str) -> list[tuple[float, float]]:
    """(Unix time, value) of the number `name` in the asset's last materializations, oldest first."""
    records = context.instance.fetch_materializations(key, limit=HISTORY).records
    numbers = []
    for record in reversed(records):
        value = record.asset_materialization.metadata.get(name) if record.asset_materialization else None
        if value is not None and isinstance(value.value, int | float):
            numbers.append((record.timestamp, float(value.value)))
    return numbers


def _two_plots(rows: Sequence[tuple[float, float]], gaps: Sequence[tuple[float, float]], title: str) -> bytes:
    """Rows, and hours since the publish before, over Unix time. matplotlib is loaded here, when it is needed."""
    from matplotlib.dates import DateFormatter
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    from penstock.training.plots import INK, png

    figure = Figure(figsize=(9, 2.6))
    left, right = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.08, right=0.98, bottom=0.2, top=0.86)
    for axes, points, label in ((left, rows, "rows"), (right, gaps, "hours since the publish before")):
        axes.plot(
            [datetime.fromtimestamp(at, UTC) for at, _ in points], [value for _, value in points], "o-", color=INK
        )
        axes.set(title=f"{title}: {label}", ylim=(0, None))
        axes.tick_params(labelsize=7)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(DateFormatter("%d %b %H:%M", tz=UTC))  # type: ignore[no-untyped-call] # matplotlib has no types
    return png(figure)


def _cell(value: Any) -> str | int | float | bool | None:
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int | bool) else str(value)


def _type(cells: Sequence[str | int | float | bool | None]) -> str:
    kinds = {dg.TableMetadataValue.infer_column_type(cell) for cell in cells if cell is not None}
    if kinds == {"int", "float"}:
        return "float"
    return kinds.pop() if len(kinds) == 1 else "string"
