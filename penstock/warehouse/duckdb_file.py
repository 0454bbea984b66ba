"""The warehouse in a DuckDB file: readers open it read-only, and whoever finds it locked waits a bounded time."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from penstock.warehouse.interface import BATCH_ROWS, BOUND, WarehouseError
from penstock.warehouse.stored_order import comes_in_order, quoted

log = logging.getLogger("penstock.warehouse")


@dataclass(frozen=True)
class DuckDBWarehouse:
    """`now` is what the warehouse's own views take for now; None is the clock."""

    path: str
    now: datetime | None = None
    patience: float = 120.0
    memory: str = "1GB"

    @property
    def dialect(self) -> str:
        """Always `duckdb`."""
        return "duckdb"

    @contextmanager
    def batches(
        self, query: str, bound: Mapping[str, Any] | None = None, *, key: Sequence[str] = ()
    ) -> Iterator[pa.RecordBatchReader]:
        """See `Warehouse.batches`; rows that lie in the order of `key` are not sorted again.

        WarehouseError with DuckDB's own words if the query is refused.
        """
        statement, values = BOUND.sub(r"$\1", query), dict(bound or {})
        with self.connect(read_only=True) as connection:
            try:
                if key and not comes_in_order(connection, statement, values, key):
                    statement = f"SELECT * FROM ({statement}) ORDER BY {', '.join(map(quoted, key))}"
                # Closed by name: an unfinished reader that somebody still holds would keep the file open.
                with connection.sql(statement, params=values).to_arrow_reader(BATCH_ROWS) as reader:
                    yield reader
            except duckdb.Error as error:
                raise WarehouseError("query", found=str(error), todo=f"The query was: {query}") from error

    def prepare(self, script: str) -> None:
        """See `Warehouse.prepare`."""
        with self.connect() as connection:
            try:
                connection.execute("BEGIN")
                connection.execute(script)
                connection.execute("COMMIT")
            except duckdb.Error as error:
                raise WarehouseError("preparing", found=str(error), todo=f"The script was: {script}") from error

    @contextmanager
    def connect(self, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection in UTC that knows `now`; waits up to `patience` seconds while another process writes."""
        connection = self._open(read_only)
        try:
            connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            if self.now is not None:
                connection.execute(f"SET VARIABLE penstock_now = TIMESTAMPTZ '{self.now.isoformat()}'")
            yield connection
        finally:
            connection.close()

    def _open(self, read_only: bool) -> duckdb.DuckDBPyConnection:
        if read_only and not Path(self.path).exists():
            raise WarehouseError(
                "warehouse", expected=f"a DuckDB file at {self.path}", found="none", todo="Run `penstock up` first."
            )
        deadline = time.monotonic() + self.patience
        waited = False
        while True:
            try:
                return duckdb.connect(
                    self.path,
                    read_only=read_only,
                    config={"threads": 2, "memory_limit": self.memory, "preserve_insertion_order": read_only},
                )
            except (duckdb.IOException, duckdb.ConnectionException) as error:
                if time.monotonic() > deadline or not _held_elsewhere(error):
                    raise WarehouseError(
                        f"warehouse {self.path}",
                        expected=f"to be free within {self.patience:.0f} s",
                        found=str(error),
                        todo="Close the other program that has the file open, then try again.",
                    ) from error
                if not waited:
                    log.warning("Waiting for another process to let go of %s", self.path)
                waited = True
                time.sleep(0.1)


def _held_elsewhere(error: duckdb.Error) -> bool:
    """True for the lock of another process, and for a connection of this one in the other mode."""
    return "Could not set lock" in str(error) or "different configuration" in str(error)
