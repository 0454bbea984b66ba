"""The whole result of a table's query: at once, or in parts of one state of the data where that is faster.

Each part is stored when it is complete, and the snapshot is written behind them. A killed extract goes on with its
parts if the data are known to be the same: the table declares a version query, whose result in the state from which the
new parts are read is the old one, and the query is the same text. Without a version query nothing is known, and the
extract begins again.
"""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Event

import msgspec
import pyarrow as pa

from penstock.declare.table import ReplicatedTable
from penstock.snapshots.parts import PartFiles, encoded
from penstock.snapshots.store import SnapshotError, SnapshotStore
from penstock.warehouse.interface import BATCH_ROWS, Warehouse, WarehouseError
from penstock.warehouse.parts import CONNECTIONS, KeyRange, PartReader, PartSource, ranges_of
from penstock.warehouse.unload import UnloadSource, unloaded_rows

log = logging.getLogger("penstock.warehouse")
MANY_CORES = 4
_TICK_SECONDS = 0.2
_FIRST_WORD_SECONDS = 10.0


@contextmanager
def whole_result(warehouse: Warehouse, table: ReplicatedTable, store: SnapshotStore) -> Iterator[pa.RecordBatchReader]:
    """All rows of the table's query in the order of its key, see `Warehouse.batches`.

    By an unload where the warehouse has a place for one, else in parts where that is better, else at once.
    """
    if isinstance(warehouse, UnloadSource) and warehouse.unload_url:
        with unloaded_rows(warehouse, table.query, table.key) as batches:
            yield batches
        return
    ranges = part_ranges(warehouse, table)
    if not ranges or not isinstance(warehouse, PartSource):
        with warehouse.batches(table.query, key=table.key) as batches:
            yield batches
        return
    with warehouse.parts(table.query, ranges, key=table.key, version=table.version_query) as reader:
        files = store.parts(table.name, reader.identity, encoded(reader.ranges))
        cut = msgspec.json.decode(files.plan, type=list[KeyRange])
        extract = _Extract(reader, files, cut, warehouse)
        try:
            yield pa.RecordBatchReader.from_batches(reader.schema, extract.batches())
        except BaseException:
            extract.end()
            if reader.identity is None:
                files.remove()
            raise
        files.remove()


def part_ranges(warehouse: Warehouse, table: ReplicatedTable) -> list[KeyRange]:
    """The ranges of the key in which the table is read; empty where it is read at once.

    Parts are stored once more than rows that are read at once. On few cores they are only worth it where a killed
    extract could go on with them: `make bench-extract.parts`.
    """
    return ranges_of(warehouse, table.query, table.key) if table.version_query or cores() >= MANY_CORES else []


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Extract:
    """Reads the parts that are not done in threads, in their order, and their rows behind them in this one."""

    def __init__(self, reader: PartReader, files: PartFiles, ranges: Sequence[KeyRange], warehouse: PartSource) -> None:
        self._reader, self._files, self._warehouse = reader, files, warehouse
        self._ended, self._began, self._due = Event(), time.monotonic(), _FIRST_WORD_SECONDS
        self._rows = 0
        self._pool = ThreadPoolExecutor(CONNECTIONS, "penstock part")
        waiting = [(part, wanted) for part, wanted in enumerate(ranges) if not files.done(part)]
        if len(waiting) < len(ranges):
            log.warning("%d of %d parts are there already", len(ranges) - len(waiting), len(ranges))
        self._parts = range(len(ranges))
        self._futures: dict[int, Future[None]] = {
            part: self._pool.submit(self._read, part, wanted) for part, wanted in waiting
        }

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows of all parts. Raises what the first part that fails raised."""
        for part in self._parts:
            self._wait_for(part)
            try:
                yield from self._files.rows(part, BATCH_ROWS)
            except (OSError, pa.ArrowException) as error:
                self.end()  # what is still being written would come back
                self._files.remove()
                raise SnapshotError(
                    f"part {part + 1} of {len(self._parts)} of an extract",
                    expected="the rows that were stored",
                    found=str(error).partition("\n")[0],
                    todo="All parts were removed: extract the table again.",
                ) from error
        self._pool.shutdown()

    def end(self) -> None:
        """End all queries; returns when they have ended."""
        self._ended.set()
        self._pool.shutdown(cancel_futures=True)

    def _wait_for(self, part: int) -> None:
        future = self._futures.get(part)
        while future is not None and not future.done():
            failed, _ = wait(self._futures.values(), _TICK_SECONDS, FIRST_EXCEPTION)
            for other in failed:
                other.result()
            if self._warehouse.ended.is_set():
                raise WarehouseError("query in the warehouse", found="it was cancelled, because another one failed")
            self._tell()
        if future is not None:
            future.result()

    def _tell(self) -> None:
        elapsed = time.monotonic() - self._began
        if elapsed >= self._due:
            self._due *= 2
            done = sum(1 for part in self._parts if part not in self._futures or self._futures[part].done())
            what = "A query in the warehouse has run for %.0f s: %d of %d parts are done, %s rows so far"
            log.warning(what, elapsed, done, len(self._parts), f"{self._rows:,}")

    def _read(self, part: int, wanted: KeyRange) -> None:
        timeout = self._warehouse.timeout
        left = max(1.0, timeout - (time.monotonic() - self._began)) if timeout else 0.0
        with self._reader.read(wanted, left, self._ended) as batches:
            self._rows += self._files.write(part, batches)
