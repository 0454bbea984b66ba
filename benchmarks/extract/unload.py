"""Unloaded Parquet files, turned into a verified snapshot: megabytes of Parquet per second."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from time import process_time

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.extract.sort import shuffled
from benchmarks.figures import Figure, at_least, medians
from penstock.snapshots.store import Recipe, SnapshotStore
from penstock.warehouse.unload import UnloadFile, UnloadReport, unloaded_rows

FILES = 4
AIM = 200
TEXT_BYTES = 400


@dataclass
class Unload:
    """Files as a warehouse would have unloaded them, each time it is asked."""

    unload_url: str
    rows: int
    batches: Callable[[int], Iterator[pa.RecordBatch]]
    timeout: float = 0.0
    ended: Event = field(default_factory=Event)
    bytes: int = 0

    def make(self) -> "Unload":
        """Write the files."""
        self.table = pa.Table.from_batches(self.batches(self.rows))
        share = -(-self.rows // FILES)
        self.pieces = []
        for place in range(FILES):
            path = Path(self.unload_url) / f"{place}.parquet"
            piece = self.table.slice(place * share, share)
            pq.write_table(piece, path, compression="snappy")
            self.pieces.append((path, piece.num_rows))
        self.bytes = sum(path.stat().st_size for path, _ in self.pieces)
        return self

    def unload(self, query: str, folder: str) -> UnloadReport:
        """Put the files into the folder."""
        assert not query
        Path(folder).mkdir()
        found = []
        for path, rows in self.pieces:
            (Path(folder) / path.name).hardlink_to(path)
            found.append(UnloadFile(path.name, path.stat().st_size, rows))
        return UnloadReport(self.table.schema, self.rows, tuple(found))


def wide(rows: int) -> Iterator[pa.RecordBatch]:
    """Rows of a number and a text that no compression makes smaller."""
    letters = np.frombuffer(np.random.default_rng(1).bytes(rows * TEXT_BYTES), dtype=np.uint8) % 94 + 33
    ids = np.random.default_rng(2).permutation(rows)
    offsets = pa.py_buffer((np.arange(rows + 1, dtype=np.int32) * TEXT_BYTES).tobytes())
    texts = pa.StringArray.from_buffers(rows, offsets, pa.py_buffer(letters.tobytes()))
    yield from pa.table({"id": ids, "text": texts}).to_batches(65_536)


@click.command()
@click.option("--rows", default=2_000_000, show_default=True, help="Of the narrow table; the wide one has a fifth.")
@click.option("--rounds", default=3, show_default=True)
def main(rows: int, rounds: int) -> None:
    """Turn each unload into a snapshot, in turns, and print medians."""
    with tempfile.TemporaryDirectory() as folder:
        unloads = []
        for name, count, batches in (("narrow", rows, shuffled), ("wide", rows // 5, wide)):
            (place := Path(folder) / name).mkdir()
            unloads.append(Unload(str(place), count, batches).make())

        def turn(unload: Unload) -> Callable[[], None]:
            def run() -> None:
                with tempfile.TemporaryDirectory() as store, unloaded_rows(unload, "", ("id",)) as ordered:
                    written = SnapshotStore(store).write("t", ordered, Recipe("", ("id",)), as_of=datetime.now(UTC))
                    assert written.rows == unload.rows

            return run

        turns = [turn(unload) for unload in unloads]
        taken = medians(rounds, *turns)
        for name, seconds, unload, again in zip(("narrow", "a wide text"), taken, unloads, turns, strict=True):
            what = f"{name}, {unload.bytes / unload.rows:.0f} bytes of Parquet a row"
            click.echo(at_least(what, unload.bytes / 1e6 / seconds, "MB/s", AIM).line())
            began = process_time()
            again()
            click.echo(
                Figure(f"{name}: per second of one core", unload.bytes / 1e6 / (process_time() - began), "MB").line()
            )


if __name__ == "__main__":
    main()
