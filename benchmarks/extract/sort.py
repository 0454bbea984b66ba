"""Sorting outside the warehouse: seconds and memory of a snapshot of shuffled rows."""

import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import click
import numpy as np
import pyarrow as pa

from benchmarks.figures import Figure, at_most, peak_rss_mb
from penstock.snapshots.store import Recipe, SnapshotStore
from penstock.warehouse.interface import BATCH_ROWS
from penstock.warehouse.sorting import sorted_rows

STEP = 1_000_003
"""A prime: its multiples visit every row once, in no order."""
SCHEMA = pa.schema(
    {
        "id": pa.int64(),
        "shop": pa.int32(),
        "score": pa.float64(),
        "name": pa.string(),
        "at": pa.timestamp("us", "UTC"),
        "day": pa.date32(),
        "open": pa.bool_(),
    }
)


def shuffled(rows: int) -> Iterator[pa.RecordBatch]:
    """`rows` rows whose ids are in no order."""
    for first in range(0, rows, BATCH_ROWS):
        ids = np.arange(first, min(rows, first + BATCH_ROWS), dtype=np.int64) * STEP % rows
        columns = (ids, ids % 1000, ids * 0.37, [f"name {n}" for n in ids % 5000], ids * 1_000_000, ids % 700, ids % 2)
        arrays = [pa.array(one) for one in columns]
        yield pa.RecordBatch.from_arrays(
            [a.cast(f.type) for a, f in zip(_days(arrays), SCHEMA, strict=True)], schema=SCHEMA
        )


def _days(arrays: list[pa.Array]) -> list[pa.Array]:
    return [*arrays[:5], arrays[5].cast(pa.int32()), arrays[6]]


@click.command()
@click.option("--rows", default=20_000_000, show_default=True)
def main(rows: int) -> None:
    """Sort the rows once, write them as a verified snapshot, and print seconds and the most memory of the process."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        for _ in shuffled(rows):
            pass
        made = time.monotonic() - began
        source = pa.RecordBatchReader.from_batches(SCHEMA, shuffled(rows))
        began = time.monotonic()
        with sorted_rows(source, ("id",)) as ordered:
            store = SnapshotStore(folder)
            assert store.write("t", ordered, Recipe("", ("id",)), as_of=datetime.now(UTC)).rows == rows
        taken = time.monotonic() - began - made
    click.echo(Figure(f"{rows:,} shuffled rows, sorted and written as a snapshot", taken, "s").line())
    click.echo(Figure("thousand rows per second", rows / taken / 1000, "").line())
    click.echo(at_most("memory", peak_rss_mb(), "MB", 500).line())


if __name__ == "__main__":
    main()
