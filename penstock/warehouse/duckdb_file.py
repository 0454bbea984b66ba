"""The warehouse in a DuckDB file: readers open it read-only, and wait a bounded time while it is locked."""

import json
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Any

import duckdb
import pyarrow as pa

from penstock.warehouse.estimate import PERHAPS_STORED, SORTS, Estimate, from_duckdb, untold
from penstock.warehouse.interface import BATCH_ROWS, ColumnTypesError, WarehouseError, demand_names, quoted
from penstock.warehouse.object_stores import reach_object_stores
from penstock.warehouse.query_text import bind, subquery
from penstock.warehouse.reading import Query, reading

log = logging.getLogger("penstock.warehouse")
ABSENT = (
    "`penstock up` makes it where the project has a seed. Else load the tables into it, or name another warehouse by "
    "PENSTOCK_WAREHOUSE_URL."
)
_NOT_IN_ARROW = frozenset({"BIT", "BIGNUM", "VARINT", "TIME WITH TIME ZONE", "UHUGEINT"})
"""Types that Arrow gets as DuckDB's own bytes, without the zone, or wrapped where they have more than 38 digits."""
_INTERRUPTED = "Query interrupted"
_EXTENSION = re.compile(r"required extension '(\w+)")
_TRACEBACK = re.compile(r"Traceback \(most recent call last\):\n(?: .*\n)+(?:PenstockError: )?")
_KEEPS_ORDER = frozenset({"SEQ_SCAN", "PROJECTION", "FILTER"})
"""Operators of a query plan that return rows in stored order. Running them once more over the key alone is cheap."""


@dataclass(frozen=True)
class DuckDBWarehouse:
    """A DuckDB file.

    - `now` is the time that the views of the warehouse use as the present; None is the clock.
    - `patience` is in seconds while another process writes.
    - `timeout` is in seconds for one query; 0 is none. Once `ended` is set by another thread, queries end too.
    """

    path: str
    now: datetime | None = None
    patience: float = 120.0
    memory: str = "1GB"
    timeout: float = 0.0
    ended: Event = field(default_factory=Event, compare=False)

    @property
    def dialect(self) -> str:
        """Always `duckdb`."""
        return "duckdb"

    @contextmanager
    def batches(
        self,
        query: str,
        bound: Mapping[str, Any] | None = None,
        *,
        key: Sequence[str] = (),
        hash_joins: bool = False,  # noqa: ARG002
    ) -> Iterator[pa.RecordBatchReader]:
        """See `Warehouse.batches`. Rows that are stored in the order of `key` are not sorted again.

        WarehouseError with DuckDB's own words if the query is refused.
        """
        values = dict(bound or {})
        statement = subquery(bind(query, values, "${}".format))
        with self.connect(read_only=True) as connection:

            def start() -> pa.RecordBatchReader:
                types, asked = _types(connection, statement, values), statement
                order = [compared(name, types.get(name, "")) for name in key]
                if key and not comes_in_order(connection, statement, values, order):
                    asked = f"SELECT * FROM (\n{statement}) ORDER BY {', '.join(order)}"
                return connection.sql(asked, params=values).to_arrow_reader(BATCH_ROWS)

            def explain(error: Exception) -> Exception:
                return _refused(error, query) if isinstance(error, duckdb.Error) else error

            def state() -> str:
                share = connection.query_progress()
                return f"{share:.0f} % done by DuckDB's word" if share >= 0 else ""

            with reading(Query(start, connection.interrupt, explain, self.timeout, self.ended, state=state)) as rows:
                yield rows

    def natural(self, query: str, bound: Mapping[str, Any] | None = None) -> str:
        """See `Warehouse.natural`. No type tells a text's collation, so each is compared by its bytes."""
        values = dict(bound or {})
        with self.connect(read_only=True) as connection:
            try:
                types = _types(connection, subquery(bind(query, values, "${}".format)), values)
            except duckdb.Error as error:
                raise _refused(error, query) from None
        columns = {quoted(name): compared(name, kind) for name, kind in types.items()}
        if all(name == column for name, column in columns.items()):
            return query
        listed = ", ".join(f"{column} AS {name}" for name, column in columns.items())
        return f"SELECT {listed} FROM (\n{subquery(query)}) AS extract"

    def estimate(self, query: str, bound: Mapping[str, Any] | None = None, *, key: Sequence[str] = ()) -> Estimate:
        """See `Planner.estimate`."""
        values = dict(bound or {})
        statement = subquery(bind(query, values, "${}".format))
        with self.connect(read_only=True) as connection:
            try:
                types = _types(connection, statement, values).values()
                plan = _plan(connection, statement, values)
                stored = _scans_one_table(connection, statement, values)
            except WarehouseError as error:
                return untold(error)
            except duckdb.Error as error:
                return untold(str(error))
        return from_duckdb(plan, types, (PERHAPS_STORED if stored else SORTS) if key else "")

    def prepare(self, script: str) -> None:
        """See `Warehouse.prepare`."""
        with self.connect() as connection:

            def start() -> pa.RecordBatchReader:
                connection.execute("BEGIN")
                connection.execute(script)
                connection.execute("COMMIT")
                return pa.RecordBatchReader.from_batches(pa.schema([]), [])

            def explain(error: Exception) -> Exception:
                return _refused(error, script, "preparing") if isinstance(error, duckdb.Error) else error

            with reading(Query(start, connection.interrupt, explain, self.timeout, self.ended, "preparation")):
                pass

    @contextmanager
    def connect(self, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection in UTC that knows `now`; waits up to `patience` seconds while another process writes.

        KeyboardInterrupt where Ctrl-C or Dagster's terminate arrive while DuckDB works in the main thread: DuckDB drops
        what the handler raised.
        """
        connection = self._open(read_only)
        try:
            connection.execute(
                "SET TimeZone = 'UTC'; SET enable_progress_bar = true; SET enable_progress_bar_print = false;"
                " SET python_enable_replacements = false"  # a table that is not there is no variable of this program
            )
            if self.now is not None:
                connection.execute(f"SET VARIABLE penstock_now = TIMESTAMPTZ '{self.now.isoformat()}'")
            reach_object_stores(connection)
            yield connection
        except RuntimeError as error:
            if str(error) == _INTERRUPTED:
                raise KeyboardInterrupt from error
            raise
        finally:
            connection.close()

    def demand_readable(self) -> None:
        """WarehouseError where the file is absent or not of DuckDB. One that another process writes to is well."""
        self._demand_there()
        try:
            self._connect(read_only=True).close()
        except (duckdb.Error, OSError) as error:
            if not _held_elsewhere(error):
                raise self._not_opened(error) from error

    def _open(self, read_only: bool) -> duckdb.DuckDBPyConnection:
        if read_only:
            self._demand_there()
        deadline = time.monotonic() + self.patience
        waited = False
        while True:
            try:
                return self._connect(read_only=read_only)
            except (duckdb.Error, OSError) as error:
                if not _held_elsewhere(error):
                    raise self._not_opened(error) from error
                if time.monotonic() > deadline:
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

    def _connect(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(
            self.path,
            read_only=read_only,
            config={"threads": 2, "memory_limit": self.memory, "preserve_insertion_order": read_only},
        )

    def _demand_there(self) -> None:
        if not Path(self.path).exists():
            raise WarehouseError("warehouse", expected=f"a DuckDB file at {self.path}", found="none", todo=ABSENT)

    def _not_opened(self, error: Exception) -> WarehouseError:
        return WarehouseError(
            f"warehouse {self.path}",
            expected="a DuckDB file that may be opened",
            found=str(error).strip().partition("\n")[0],
            todo="Correct PENSTOCK_WAREHOUSE_URL, or restore that file.",
        )


def compared(name: str, kind: str) -> str:
    """A column as the service has it: an enumeration or UUID as a text, a text by its bytes whatever its collation."""
    if kind == "UUID" or kind.startswith("ENUM("):
        return f"CAST({quoted(name)} AS VARCHAR)"
    return quoted(name) + (' COLLATE "binary"' if kind == "VARCHAR" else "")


def _refused(error: Exception, text: str, what: str = "query") -> WarehouseError:
    """What is said where DuckDB refuses, or what reads an object store for it, whose traceback is left out."""
    if extension := _EXTENSION.search(said := str(error)):
        return WarehouseError(
            what,
            found=f"no extension {extension[1]!r} of DuckDB {duckdb.__version__}, and none could be downloaded",
            todo=f"Where there is internet, install it for this user: `INSTALL {extension[1]}` in that DuckDB. "
            f"The {what} was: {text}",
        )
    return WarehouseError(what, found=_TRACEBACK.sub("", said), todo=f"The {what} was: {text}")


def _types(connection: duckdb.DuckDBPyConnection, statement: str, bound: Mapping[str, Any]) -> dict[str, str]:
    """Column -> type.

    ColumnNamesError for a name of two columns, of which DuckDB would rename one wherever it reads the query as a part
    of another; ColumnTypesError for the columns of types that Arrow does not have as they are.
    """
    relation = connection.sql(statement, params=dict(bound))
    demand_names(relation.columns)
    types = dict(zip(relation.columns, map(str, relation.types), strict=True))
    refused = {name: kind for name, kind in types.items() if kind in _NOT_IN_ARROW}
    if refused:
        raise ColumnTypesError(refused, [name for name in types if name not in refused])
    return types


def _held_elsewhere(error: Exception) -> bool:
    """True for the lock of another process, and for a connection of this one in the other mode."""
    return "Could not set lock" in str(error) or "different configuration" in str(error)


def comes_in_order(
    connection: duckdb.DuckDBPyConnection, query: str, bound: Mapping[str, Any], key: Sequence[str]
) -> bool:
    """Whether the rows of `query` strictly ascend by `key`, SQL of columns, so that sorting would change nothing.

    - The key is read up to the first row that does not ascend.
    - Only a query that filters or computes on one stored table is tested. For one that joins, groups or sorts, the test
      could cost as much as the query, so the result is False.
    - `connection` must preserve the order of insertion. It must be read-only and stay open while the rows are read, so
      that they cannot change.
    """
    if not _scans_one_table(connection, query, bound):
        return False
    keys = ", ".join(f"{column} AS k{place}" for place, column in enumerate(key))
    before = ", ".join(f"lag(k{place}) OVER () AS b{place}" for place in range(len(key)))
    found = connection.execute(
        f"""SELECT 1 FROM (SELECT *, {before}, row_number() OVER () AS n FROM (SELECT {keys} FROM ({query})))
            WHERE n > 1 AND ({_ascends(0, len(key))}) IS NOT TRUE LIMIT 1""",
        dict(bound),
    )
    return not found.fetchall()


def _scans_one_table(connection: duckdb.DuckDBPyConnection, query: str, bound: Mapping[str, Any]) -> bool:
    node: Mapping[str, Any] = {"children": [_plan(connection, query, bound)]}
    while children := node["children"]:
        if len(children) != 1 or children[0]["name"] not in _KEEPS_ORDER:
            return False
        node = children[0]
    return True


def _plan(connection: duckdb.DuckDBPyConnection, query: str, bound: Mapping[str, Any]) -> Mapping[str, Any]:
    """The topmost operator of the physical plan."""
    explained = connection.execute(f"EXPLAIN (FORMAT json) {query}", dict(bound)).fetchall()
    top: Mapping[str, Any] = json.loads(explained[0][1])[0]
    return top


def _ascends(place: int, length: int) -> str:
    """SQL that is true where a row's key exceeds that of the row before, compared from the column `place` on."""
    less = f"b{place} < k{place}"
    return less if place + 1 == length else f"{less} OR (b{place} = k{place} AND ({_ascends(place + 1, length)}))"
