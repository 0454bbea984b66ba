"""What a step shows of itself in the Dagster UI: schemas, queries, tables of rows, plots."""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg
import pandera.pandas as pa

from resources.publication import Publication
from resources.snapshots import Snapshot
from schemas.shape import ShapeError, described

HISTORY = 60
FAILURES_SHOWN = 50


def image(png: bytes) -> dg.MarkdownMetadataValue:
    """A picture that the UI shows where it stands."""
    return dg.MetadataValue.md(f"![plot](data:image/png;base64,{base64.b64encode(png).decode()})")


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> dg.MarkdownMetadataValue:
    """Rows of the same columns as a table."""
    if not rows:
        return dg.MetadataValue.md("(none)")
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(_cell(row[name]) for name in names) + " |" for row in rows]
    return dg.MetadataValue.md("\n".join(lines))


def column_schema(shape: pa.DataFrameSchema) -> dg.TableSchema:
    """The declared shape as Dagster shows columns."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=row["column"],
                type=row["type"].removesuffix("[pyarrow]"),
                description=row["checks"] or None,
                constraints=dg.TableColumnConstraints(nullable=row["nullable"]),
            )
            for row in described(shape)
        ]
    )


def snapshot_evidence(snapshot: Snapshot, shape: pa.DataFrameSchema) -> dict[str, Any]:
    """Rows, size, digest, query and schema of a snapshot."""
    return {
        "dagster/row_count": snapshot.rows,
        "dagster/column_schema": column_schema(shape),
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
    """How many values fail the shape, and the first of them."""
    rows = error.failures.head(FAILURES_SHOWN).to_dict("records")
    return {
        "failing_values": dg.MetadataValue.int(len(error.failures)),
        "failing_rows": markdown_table([{str(name): value for name, value in row.items()} for row in rows]),
    }


def publication_evidence(publication: Publication, now: datetime) -> dict[str, Any]:
    """Rows, speed, digest, age and lookup times of one table in one book."""
    evidence: dict[str, Any] = {
        "dagster/row_count": publication.rows,
        "bytes": publication.bytes,
        "snapshot": publication.snapshot,
        "physical_table": publication.physical,
        "loaded": "no, already current" if publication.skipped else f"{publication.loaded:,} rows",
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


def past_numbers(context: dg.AssetExecutionContext, key: dg.AssetKey, name: str) -> list[tuple[float, float]]:
    """The number `name` of the asset's last materializations, oldest first, with their Unix times."""
    records = context.instance.fetch_materializations(key, limit=HISTORY).records
    numbers = []
    for record in reversed(records):
        value = record.asset_materialization.metadata.get(name) if record.asset_materialization else None
        if value is not None and isinstance(value.value, int | float):
            numbers.append((record.timestamp, float(value.value)))
    return numbers


def _cell(value: Any) -> str:
    text = f"{value:.4f}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
