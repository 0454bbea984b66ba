"""Sorting outside the warehouse: an external merge sort over runs on the disk, in bounded memory, whatever the rows."""

import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event

import pyarrow as pa
import pyarrow.compute as pc

from penstock.rows.merge import places
from penstock.warehouse.interface import WarehouseError
from penstock.warehouse.reading import Query, reading
from penstock.warehouse.runs_folder import runs_folder

RUN_BYTES = 24 << 20
"""Arrow bytes that are sorted at once. A run on the disk is as large, and two are on their way to it."""
_PIECE_BYTES = 256 << 10
"""What is read of a run at once. 100,000,000 rows of 60 bytes are 250 runs."""
_MERGE_BYTES = 32 << 20
"""What the merge holds of all runs, but at least half a piece of each: a round costs the same however few its rows."""
_AT_ONCE = 2


@contextmanager
def sorted_rows(
    rows: pa.RecordBatchReader, key: Sequence[str], *, timeout: float = 0.0, ended: Event | None = None
) -> Iterator[pa.RecordBatchReader]:
    """The rows in the order of the key, text in that of its bytes. Equal keys stay, one behind the other.

    - The runs lie in the folder of temporary files (TMPDIR), about as large as the rows, until the context is left. The
      next sort removes those of a killed one.
    - Raises what reading the rows raises, and WarehouseError for a null in the key or where the disk is full.
    """
    left = Event()

    def explain(error: Exception) -> Exception:
        if isinstance(error, WarehouseError) or not isinstance(error, OSError):
            return error
        return WarehouseError("sort", expected=f"room in {tempfile.gettempdir()} for its runs", found=str(error))

    with runs_folder() as folder, ExitStack() as files:

        def start() -> pa.RecordBatchReader:
            paths = _write_runs(rows, key, folder, left)
            least = max(_PIECE_BYTES // 2, _MERGE_BYTES // max(len(paths), 1))
            runs = [_Run(files.enter_context(pa.OSFile(str(path))), least) for path in paths]
            return pa.RecordBatchReader.from_batches(rows.schema, _merged(runs, key))

        with reading(Query(start, left.set, explain, timeout, ended or Event(), "sort")) as ordered:
            yield ordered


class _Run:
    """A sorted run on the disk. `head` is the next of its rows, more than `least` bytes of them; None at its end."""

    def __init__(self, file: pa.NativeFile, least: int) -> None:
        self._pieces: Iterator[pa.RecordBatch] = iter(pa.ipc.open_stream(file))
        self._least = least
        self.head = self._filled([])

    def advance(self, rows: int) -> None:
        """Leave out the first rows of the head."""
        assert self.head is not None
        rest = self.head.slice(rows)
        self.head = self._filled([rest] if rest.num_rows else [])

    def _filled(self, held: list[pa.RecordBatch]) -> pa.RecordBatch | None:
        size = sum(batch.nbytes for batch in held)
        while size <= self._least and (piece := next(self._pieces, None)) is not None:
            held.append(piece)
            size += piece.nbytes
        return pa.concat_batches(held) if len(held) > 1 else held[0] if held else None


def _write_runs(rows: pa.RecordBatchReader, key: Sequence[str], folder: Path, left: Event) -> list[Path]:
    """Sort as many rows as RUN_BYTES hold, two runs at once, and write each to a file."""
    waiting, size, paths, written = list[pa.RecordBatch](), 0, list[Path](), list[Future[None]]()
    with ThreadPoolExecutor(_AT_ONCE, "penstock sort") as pool:

        def write() -> None:
            paths.append(folder / f"{len(paths)}.arrow")
            written.append(pool.submit(_write_run, list(waiting), key, paths[-1]))
            for run in written[:-_AT_ONCE]:
                run.result()
            del written[:-_AT_ONCE]
            waiting.clear()

        for batch in rows:
            if left.is_set():
                return []
            _demand_keys(batch, key)
            waiting.append(batch)
            size += batch.nbytes
            if size >= RUN_BYTES:
                write()
                size = 0
        if waiting:
            write()
        for run in written:
            run.result()
    return paths


def _write_run(batches: list[pa.RecordBatch], key: Sequence[str], path: Path) -> None:
    for run in _ordered(batches, key):
        piece = max(1, run.num_rows * _PIECE_BYTES // max(run.nbytes, 1))
        options = pa.ipc.IpcWriteOptions(use_threads=False)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, run.schema, options=options) as stream:
            for first in range(0, run.num_rows, piece):
                stream.write_batch(run.slice(first, piece))


def _merged(runs: list[_Run], key: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """All rows up to the least of the last keys of the heads, which no later piece can precede; and so on."""
    while heads := [(run, run.head) for run in runs if run.head is not None]:
        (lasts,) = _ordered([head.slice(head.num_rows - 1) for _, head in heads], key)
        due = []
        for run, head in heads:
            count = int(places(head, lasts.slice(0, 1), key, behind_equal=True)[0])
            if count:
                due.append(head.slice(0, count))
                run.advance(count)
        yield from _ordered(due, key)


def _ordered(batches: list[pa.RecordBatch], key: Sequence[str]) -> list[pa.RecordBatch]:
    """The rows of the batches in the order of the key, as one batch; none without rows."""
    table = pa.Table.from_batches(batches)
    order = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in key])
    found: list[pa.RecordBatch] = table.take(order).combine_chunks().to_batches()
    return found


def _demand_keys(batch: pa.RecordBatch, key: Sequence[str]) -> None:
    nulls = [f"{batch.column(name).null_count:,} nulls in {name!r}" for name in key if batch.column(name).null_count]
    if nulls:
        raise WarehouseError(
            f"key {', '.join(key)}",
            expected="a value in every row",
            found=", ".join(nulls),
            todo="Leave such rows out in the query, or choose another key.",
        )
