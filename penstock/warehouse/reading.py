"""Reading the rows of a query in a thread beside, so that an interrupt of whoever waits for them ends the query.

The main thread waits where Python handles signals: Ctrl-C and Dagster's terminate reach it at once, leave the context,
and the query is cancelled in the warehouse. The thread reads ahead while the rows before are checked and stored.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from queue import Empty, Full, Queue
from threading import Event, Thread

import pyarrow as pa

from penstock.warehouse.interface import BATCH_ROWS, WarehouseError

log = logging.getLogger("penstock.warehouse")

_TICK_SECONDS = 0.2
_GRACE_SECONDS = 0.01
"""A thread that has just put the last rows ends in this time, and nothing has to be cancelled."""
_AHEAD = 2


@dataclass(frozen=True)
class Query:
    """One query of one connection.

    - `start` runs it and returns its rows; it may wait for long, in a thread of its own.
    - `cancel` ends it in the warehouse, called from another thread, also when it does not run yet or any more.
    - `explain` turns what the driver raises into what the reader is told.
    - `timeout` is in seconds from the start to the last row; 0 is none.
    - `ended`: once another thread sets it, the query ends.
    - `what` it is, in what the reader is told.
    - `first_word`: a query that takes longer says how far it is, and again whenever it has taken twice as long.
    - `state`: what the warehouse itself says of the query while it runs; empty where it says nothing.
    """

    start: Callable[[], pa.RecordBatchReader]
    cancel: Callable[[], None]
    explain: Callable[[Exception], Exception]
    timeout: float = 0.0
    ended: Event = field(default_factory=Event)
    what: str = "query"
    first_word: float = 10.0
    state: Callable[[], str] = str


@contextmanager
def reading(query: Query) -> Iterator[pa.RecordBatchReader]:
    """The rows of the query, in batches of at most BATCH_ROWS. Leaving the context ends the query.

    Raises what `explain` returns, and WarehouseError after the timeout.
    """
    progress = _Progress(query, query.first_word)
    rows: Queue[pa.Schema | pa.RecordBatch | Exception | None] = Queue(_AHEAD)
    left = Event()
    thread = Thread(target=_read, args=(query, rows, left), name="penstock warehouse", daemon=True)
    thread.start()
    try:
        schema = _next(rows, progress)
        yield pa.RecordBatchReader.from_batches(schema, _batches(rows, progress))
    finally:
        left.set()
        thread.join(_GRACE_SECONDS)
        while thread.is_alive():
            query.cancel()
            thread.join(_TICK_SECONDS)


def run(query: Query) -> None:
    """Run what returns no rows. Once it has ended nothing is cancelled: the connection may run something else."""
    over = Event()

    def start() -> pa.RecordBatchReader:
        try:
            return query.start()
        finally:
            over.set()

    def cancel() -> None:
        if not over.is_set():
            query.cancel()

    with reading(replace(query, start=start, cancel=cancel)):
        pass


def _read(query: Query, rows: "Queue[pa.Schema | pa.RecordBatch | Exception | None]", left: Event) -> None:
    """Put the schema, the batches, and None or an error at the end."""

    def put(item: pa.Schema | pa.RecordBatch | Exception | None) -> None:
        while not left.is_set():
            try:
                rows.put(item, timeout=_TICK_SECONDS)
                return
            except Full:
                continue

    try:
        reader = query.start()
        put(reader.schema)
        for batch in reader:
            for first in range(0, batch.num_rows, BATCH_ROWS):
                put(batch.slice(first, BATCH_ROWS))
            if left.is_set():
                return
        put(None)
    except Exception as error:
        put(query.explain(error))


@dataclass
class _Progress:
    query: Query
    due: float
    began: float = field(default_factory=time.monotonic)
    rows: int = 0

    def tick(self) -> None:
        """Say how far the query is, if that is due; WarehouseError if it has taken too long, or is to end."""
        elapsed, what, far = time.monotonic() - self.began, self.query.what, f"{self.rows:,} rows so far"
        if self.query.ended.is_set():
            raise WarehouseError(f"{what} in the warehouse", found="it was cancelled, because another one failed")
        if self.query.timeout and elapsed > self.query.timeout:
            raise WarehouseError(
                f"{what} in the warehouse",
                expected=f"to end within {self.query.timeout:g} s",
                found=far,
                todo=f"It was cancelled. Make the {what} cheaper, or raise PENSTOCK_WAREHOUSE_TIMEOUT.",
            )
        if elapsed >= self.due:
            self.due *= 2
            log.warning("A %s in the warehouse has run for %.0f s: %s%s", what, elapsed, far, self._state())

    def _state(self) -> str:
        try:
            said = self.query.state()
        except Exception:  # a query does not fail because nobody can say how far it is
            return ""
        return f"; {said}" if said else ""


def _batches(
    rows: "Queue[pa.Schema | pa.RecordBatch | Exception | None]", progress: _Progress
) -> Iterator[pa.RecordBatch]:
    while (batch := _next(rows, progress)) is not None:
        progress.rows += batch.num_rows
        yield batch


def _next(rows: "Queue[pa.Schema | pa.RecordBatch | Exception | None]", progress: _Progress) -> pa.RecordBatch | None:
    while True:
        progress.tick()
        try:
            item = rows.get(timeout=_TICK_SECONDS)
        except Empty:
            continue
        if isinstance(item, Exception):
            raise item
        return item
