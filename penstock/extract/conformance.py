"""Whether a warehouse does what Penstock needs of it: checks that a team runs against its own, in two minutes."""

import dataclasses
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Timer

import msgspec

from penstock.errors import PenstockError
from penstock.extract import conformance_rows as rows
from penstock.extract.extract import only_reading
from penstock.extract.preparing import RENAMES_IN_A_TRANSACTION
from penstock.extract.training_join import training_query
from penstock.rows.types import postgres_columns, stored_schema
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from penstock.warehouse.interface import Warehouse, WarehouseError
from penstock.warehouse.session_zone import another_zone

MOST_SECONDS = 120.0
QUERY_SECONDS = 30.0
CANCELLED_WITHIN = 10.0
"""Seconds in which a query has to be gone after it was cancelled."""
_RUNNING = {
    "postgresql": "SELECT count(*) AS n FROM pg_stat_activity"
    " WHERE pid <> pg_backend_pid() AND state <> 'idle' AND query LIKE '%{}%'"
}
"""Dialect -> the query of how many queries with a marker run in the warehouse."""


class Finding(msgspec.Struct, frozen=True):
    """What one check found. `ok` is None where it was not run; `todo` says what is missing then, or what to do."""

    check: str
    ok: bool | None
    found: str
    todo: str = ""
    seconds: float = 0.0


class _WrongError(PenstockError):
    """The warehouse did something else than is needed."""


class Conformance:
    """The checks, in their order. All only read, but those in a scratch schema, which is dropped at the end.

    `open_it` opens the warehouse, as `open_warehouse` does of some settings.
    """

    def __init__(self, open_it: Callable[..., Warehouse], most_seconds: float = MOST_SECONDS) -> None:
        self._open = open_it
        self._deadline = time.monotonic() + most_seconds
        self._schema = f"penstock_doctor_{uuid.uuid4().hex[:8]}"

    def findings(self) -> Iterator[Finding]:
        """Run the checks and yield what each found. If the warehouse does not answer, no other check is run."""
        first = self._tried("connection", self._connection)
        yield first
        if not first.ok:
            return
        yield self._tried("types", self._types)
        yield self._tried("order of text", self._order)
        yield self._tried("nulls", self._nulls)
        yield self._tried("instants", self._instants)
        yield self._tried("sorted stream", self._stream)
        yield self._tried("cancellation", self._cancellation)
        yield self._tried("timeout", self._timeout)
        yield from self._in_scratch()

    def _in_scratch(self) -> Iterator[Finding]:
        needing = {"as-of join": self._as_of, "preparation": self._preparation}
        made: Finding | None = None
        try:
            made = self._tried("scratch schema", self._make_scratch)
            if not made.ok:
                todo = (
                    "The connected user lacks the right to create a schema (Postgres: GRANT CREATE ON DATABASE … TO …;"
                    " a DuckDB file: to write it). Preparations and these checks need it; extracts do not."
                )
                yield msgspec.structs.replace(made, todo=todo)
                for name in needing:
                    yield Finding(name, None, "not run", "It needs the scratch schema.")
                return
            yield made
            for name, check in needing.items():
                yield self._tried(name, check)
        finally:
            if made is None or made.ok:  # also where Ctrl-C came while it was made
                self._deadline = max(self._deadline, time.monotonic() + QUERY_SECONDS)
                dropped = self._tried("scratch dropped", self._drop_scratch)
        yield msgspec.structs.replace(
            dropped, todo="" if dropped.ok else f"Drop it: DROP SCHEMA {self._schema} CASCADE"
        )

    def _tried(self, name: str, check: Callable[[], str]) -> Finding:
        began = time.monotonic()
        if began > self._deadline:
            return Finding(name, None, "not run: the time for all checks is over")
        try:
            ok, found, todo = True, check(), ""
        except PenstockError as error:
            ok, todo = False, error.todo if error.thing not in {"query", "preparing"} else ""
            found = f"{error.thing}: expected {error.expected}, found {error.found}" if error.expected else error.found
        return Finding(name, ok, found or name, todo, round(time.monotonic() - began, 2))

    def _warehouse(self, ended: Event | None = None, timeout: float = QUERY_SECONDS) -> Warehouse:
        left = max(min(timeout, self._deadline - time.monotonic()), 0.5)
        warehouse = self._open(ended, timeout=left)
        return dataclasses.replace(warehouse, patience=left) if isinstance(warehouse, DuckDBWarehouse) else warehouse

    def _read(self, query: str, key: tuple[str, ...] = ()) -> list[dict[str, object]]:
        with self._warehouse().batches(query, key=key) as batches:
            found: list[dict[str, object]] = batches.read_all().to_pylist()
        return found

    def _connection(self) -> str:
        _demand("SELECT 1", [{"one": 1}], self._read("SELECT 1 AS one"))
        return f"a warehouse of the kind {self._warehouse().dialect}"

    def _types(self) -> str:
        for query in (rows.TYPED, f"{rows.TYPED} WHERE 1 = 0"):
            with self._warehouse().batches(query) as batches:
                found = dict(postgres_columns(stored_schema(batches.schema, "types")))
                values = batches.read_all().to_pylist()
            of = "the types of an empty result" if query != rows.TYPED else "the types"
            wrong = [name for name, kind in rows.BOOK_TYPES.items() if found.get(name) != kind]
            _demand(of, {name: rows.BOOK_TYPES[name] for name in wrong}, {name: found.get(name) for name in wrong})
            if values:
                _demand("the values", rows.VALUES, values[0])
        return f"{len(rows.BOOK_TYPES)} types, also of an empty result: {', '.join(rows.BOOK_TYPES.values())}"

    def _order(self) -> str:
        found = [row["t"] for row in self._read(rows.TEXTS_QUERY, key=("t",))]
        _demand("texts in the order of their bytes", sorted(rows.TEXTS, key=str.encode), found)
        return f"{len(found)} texts come in the order of their bytes"

    def _nulls(self) -> str:
        (found,) = self._read(rows.NULLS_QUERY)
        number = found.pop("not_a_number")
        _demand("nulls", rows.NULLS, found)
        _demand("NaN", "nan", str(number))
        return "null, an empty text and NaN are three things"

    def _instants(self) -> str:
        with another_zone():
            found = self._read(rows.INSTANTS_QUERY)
        _demand("instants, read while the session's surroundings are in Tokyo", [rows.INSTANTS], found)
        return "the same in any zone of the session, also cast to a time without one"

    def _stream(self) -> str:
        began, last, count = time.monotonic(), -1, 0
        with self._warehouse().batches(rows.numbered(5), key=("n",)) as batches:
            for batch in batches:
                for number in batch.column("n").to_pylist():
                    _demand("rows in the order of their key", last + 1, number)
                    last, count = number, count + 1
        _demand("rows of a sorted stream", 10**5, count)
        return f"{count:,} rows, {count / (time.monotonic() - began):,.0f} a second"

    def _cancellation(self) -> str:
        ended, marker = Event(), f"penstock_{uuid.uuid4().hex[:12]}"
        timer = Timer(1.0, ended.set)
        timer.start()
        try:
            after = self._ends(self._warehouse(ended), marker, "it was cancelled", 1.0)
        finally:
            timer.cancel()
        count = _RUNNING.get(self._warehouse().dialect)
        if count is None:
            return f"a query ended {after:.1f} s after it was cancelled"
        until = time.monotonic() + CANCELLED_WITHIN
        while (running := self._read(count.format(marker))[0]["n"]) and time.monotonic() < until:
            time.sleep(0.2)
        _demand("queries that run in the warehouse after they were cancelled", 0, running)
        return f"a query ended {after:.1f} s after it was cancelled, and the warehouse runs it no more"

    def _timeout(self) -> str:
        after = self._ends(self._warehouse(timeout=1.0), "penstock_timeout", "to end within", 1.0)
        return f"a query that may take 1 s ended after {1 + after:.1f} s"

    @staticmethod
    def _ends(warehouse: Warehouse, marker: str, because: str, due: float) -> float:
        """Run an endless query; how many seconds after `due` it ended, for the reason that is expected."""
        began = time.monotonic()
        try:
            with warehouse.batches(rows.endless(marker)) as batches:
                batches.read_all()
        except WarehouseError as error:
            if because not in str(error):
                raise
            late = time.monotonic() - began - due
            _demand("seconds until the query ended", True, late < CANCELLED_WITHIN or f"{late:.1f}")
            return max(late, 0.0)
        raise _WrongError("an endless query", expected=because, found="it returned rows")

    def _make_scratch(self) -> str:
        self._warehouse().prepare(f"CREATE SCHEMA {self._schema}")
        return self._schema

    def _drop_scratch(self) -> str:
        self._warehouse().prepare(f"DROP SCHEMA {self._schema} CASCADE")
        return self._schema

    def _as_of(self) -> str:
        pair = rows.Pair(self._schema)
        self._warehouse().prepare(pair.script())
        warehouse = self._warehouse()
        queries = {name: warehouse.natural(query) for name, query in pair.tables().items()}
        asked = warehouse.natural(pair.asked_query())
        only_read = only_reading(warehouse, (asked, *queries.values()), {})
        query = training_query(rows.CONTRACT, asked, queries, warehouse.dialect, only_read=only_read)
        with warehouse.batches(query, key=("id",), hash_joins=True) as batches:
            found = batches.read_all().select(pair.names_of_columns()).to_pylist()
        expected = pair.expected()
        wrong = [place for place, row in enumerate(expected) if place >= len(found) or found[place] != row]
        _demand("joined rows", len(expected), len(found))
        if wrong:
            first = wrong[0]
            raise _WrongError(f"row {first} of the join", expected=str(expected[first]), found=str(found[first]))
        return f"{len(expected)} rows are joined as Python joins them: ties, nulls, ages, keys of two columns"

    def _preparation(self) -> str:
        half, bad = f"{self._schema}.half", f"{self._schema}.nowhere"
        if self._warehouse().dialect in RENAMES_IN_A_TRANSACTION:
            script = f"CREATE TABLE {half} AS SELECT 1 AS n; CREATE TABLE {self._schema}.bad AS SELECT * FROM {bad}"
            with _refused("a preparation that fails"):
                self._warehouse().prepare(script)
            with _refused("reading what it left"):
                self._read(f"SELECT * FROM {half}")
            return "one that fails in its second statement leaves nothing"
        self._warehouse().prepare(f"CREATE TABLE {half} AS SELECT 1 AS n")
        with _refused("a preparation that fails"):
            self._warehouse().prepare(f"CREATE OR REPLACE TABLE {half} AS SELECT * FROM {bad}")
        _demand("what it left", [{"n": 1}], self._read(f"SELECT n FROM {half}"))
        return (
            "one that fails leaves its table as it was; the statements of a script are each so, together they are not"
        )


@contextmanager
def _refused(what: str) -> Iterator[None]:
    try:
        yield
    except WarehouseError:
        return
    raise _WrongError(what, expected="to be refused", found="it was done")


def _demand(what: str, expected: object, found: object) -> None:
    if expected != found:
        raise _WrongError(what, expected=str(expected), found=str(found))
