"""The warehouse in Postgres: described and prepared through psycopg, read as Arrow through ADBC's binary COPY."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import Event
from types import ModuleType
from typing import Any, ClassVar
from uuid import uuid4

import psycopg
import pyarrow as pa
from psycopg.conninfo import make_conninfo

from penstock.warehouse.estimate import Estimate, from_postgres, untold
from penstock.warehouse.interface import WarehouseError, quoted_text
from penstock.warehouse.parts import KeyRange, PartReader
from penstock.warehouse.postgres.ranges import key_ranges, within
from penstock.warehouse.postgres.text import ordered, refused, rows_of, said, with_values
from penstock.warehouse.postgres.types import PostgresColumn, as_declared, columns_of, schema_of
from penstock.warehouse.query_text import subquery
from penstock.warehouse.reading import Query, reading, run
from penstock.warehouse.url import WarehouseUrl, driver

SESSION = {
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "client_connection_check_interval": "1s",  # a query whose client is gone ends
}
CONNECT_SECONDS = 10
PART_ROWS = 2_000_000
_BATCH_BYTES = 4 << 20


@dataclass(frozen=True)
class PostgresWarehouse:
    """Postgres 14 or newer, in sessions whose time zone is UTC.

    `timeout` is in seconds for one query; 0 is none. Once `ended` is set by another thread, queries end too.
    A larger result is read in parts of about `part_rows` rows, where that is better.
    """

    SETTINGS: ClassVar[Sequence[str]] = ("SET TimeZone TO 'UTC'", "SET DateStyle TO 'ISO'")
    """Statements with which a session begins: libpq puts PGTZ and PGDATESTYLE of the environment over `session`."""
    url: str
    timeout: float = 0.0
    ended: Event = field(default_factory=Event, compare=False)
    part_rows: int = PART_ROWS

    @property
    def dialect(self) -> str:
        """Always `postgresql`."""
        return "postgresql"

    @contextmanager
    def batches(
        self,
        query: str,
        bound: Mapping[str, Any] | None = None,
        *,
        key: Sequence[str] = (),
        hash_joins: bool = False,
    ) -> Iterator[pa.RecordBatchReader]:
        """See `Warehouse.batches`; WarehouseError with the database's own words if the query is refused."""
        adbc = driver("adbc_driver_postgresql.dbapi", "postgres")
        with self._connected() as connection:
            text = with_values(connection, self.spoken(query), bound, self.text)
            columns = self._described(connection, text)
        statement = ordered(text, columns, key)
        with self._running(adbc, statement, columns, query, self.hash_joins() if hash_joins else {}) as rows:
            yield rows

    def natural(self, query: str, bound: Mapping[str, Any] | None = None) -> str:
        """See `Warehouse.natural`. ColumnTypesError names every column whose type nothing can hold."""
        query = self.spoken(query)
        with self._connected() as connection:
            columns = self._described(connection, with_values(connection, query, bound, self.text))
        if all(column.natural for column in columns):
            return query
        listed = ", ".join(column.joined() for column in columns)
        return f"SELECT {listed} FROM (\n{subquery(query)}) AS extract"

    def estimate(self, query: str, bound: Mapping[str, Any] | None = None, *, key: Sequence[str] = ()) -> Estimate:
        """See `Planner.estimate`."""
        with self._connected() as connection:
            text = with_values(connection, self.spoken(query), bound, self.text)
            try:
                statement = f"EXPLAIN {ordered(text, self._described(connection, text), key)}"
                lines = [line for (line,) in connection.execute(statement.encode())]
            except WarehouseError as error:
                return untold(error)
            except psycopg.Error as error:
                return untold(said(error))
        return from_postgres(lines, key)

    def ranges(self, query: str, bound: Mapping[str, Any] | None = None, *, key: Sequence[str]) -> list[KeyRange]:
        """See `PartSource.ranges`."""
        with self._connected() as connection:
            text = with_values(connection, query, bound, self.text)
            columns = self._described(connection, text)
            kind = next((one.type for one in columns if one.name == key[0]), None)
            statement = ordered(text, columns, key)
            return key_ranges(connection, text, key[0], kind, statement, self.part_rows) if kind is not None else []

    @contextmanager
    def parts(
        self, query: str, ranges: Sequence[KeyRange], *, key: Sequence[str], version: str = ""
    ) -> Iterator[PartReader]:
        """See `PartSource.parts`: a connection exports its snapshot, in which those of the parts read."""
        adbc = driver("adbc_driver_postgresql.dbapi", "postgres")
        with self._connected() as holder:
            holder.execute("SET idle_in_transaction_session_timeout = 0")
            with holder.transaction():
                holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                (exported,) = holder.execute("SELECT pg_export_snapshot()").fetchone() or ("",)
                columns = self._described(holder, query)
                statement = ordered(query, columns, key)
                of = (str(self._place), statement, version, rows_of(holder, version) if version else [])
                begin = (
                    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
                    f"SET TRANSACTION SNAPSHOT {quoted_text(exported)}",
                )

                def read(wanted: KeyRange, timeout: float, ended: Event) -> Any:
                    part = replace(self, timeout=timeout, ended=ended)
                    return part._running(adbc, within(statement, key[0], wanted), columns, query, {}, begin)

                yield PartReader(schema_of(columns), ranges, repr(of) if version else None, read)

    def prepare(self, script: str) -> None:
        """See `Warehouse.prepare`."""
        with self._connected() as connection:

            def start() -> pa.RecordBatchReader:
                with connection.transaction():
                    connection.execute(script.encode())
                return pa.RecordBatchReader.from_batches(pa.schema([]), [])

            def explain(error: Exception) -> Exception:
                return refused(error, script, "preparing") if isinstance(error, psycopg.Error) else error

            with reading(Query(start, connection.cancel_safe, explain, self.timeout, self.ended, "preparation")):
                pass

    def columns(self, connection: psycopg.Connection[Any], text: str) -> list[PostgresColumn]:
        """The columns of a query, as the server describes them."""
        return columns_of(connection, text)

    def spoken(self, query: str) -> str:
        """A project's query as this kind reads it; it still has `:name` for the values that are bound."""
        return query

    def text(self, value: str) -> str:  # noqa: ARG002
        """A text that is bound in SQL; empty where the driver writes it."""
        return ""

    def session(self) -> Mapping[str, str]:
        """The settings with which a session is connected."""
        return SESSION

    def hash_joins(self) -> Mapping[str, str]:
        """The settings that keep the planner from joining row by row."""
        return {"enable_nestloop": "off"}

    def read(self, cursor: Any, statement: str, schema: pa.Schema) -> pa.RecordBatchReader:
        """The rows of a statement, by a cursor of ADBC whose session has begun."""
        cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(_BATCH_BYTES)})
        cursor.execute(statement)
        found = cursor.fetch_record_batch()
        return pa.RecordBatchReader.from_batches(schema, (as_declared(batch, schema) for batch in found))

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[Any]]:
        try:
            connected = psycopg.connect(self._conninfo(), autocommit=True)
        except psycopg.Error as error:
            raise self._unreachable(error) from None
        with connected as connection:
            for setting in self.SETTINGS:
                connection.execute(setting.encode())
            yield connection

    def _described(self, connection: psycopg.Connection[Any], text: str) -> list[PostgresColumn]:
        """The columns of a query. The server describes none whose table another one has locked: it is waited for."""
        found: list[PostgresColumn] = []

        def start() -> pa.RecordBatchReader:
            found.extend(self.columns(connection, text))
            return pa.RecordBatchReader.from_batches(pa.schema([]), [])

        def explain(error: Exception) -> Exception:
            return refused(error, text) if isinstance(error, psycopg.Error) else error

        def state() -> str:
            return self.state("pid", connection.info.backend_pid)

        cancel = connection.cancel_safe
        run(Query(start, cancel, explain, self.timeout, self.ended, "description of a query", state=state))
        return found

    @contextmanager
    def _running(
        self,
        adbc: ModuleType,
        statement: str,
        columns: Sequence[PostgresColumn],
        query: str,
        more: Mapping[str, str],
        begin: Sequence[str] = (),
    ) -> Iterator[pa.RecordBatchReader]:
        """The rows of a statement, in the types of the columns; it ends with the context. `begin` its transaction."""
        name = f"penstock {uuid4().hex}"
        try:
            connection = adbc.connect(self._conninfo(more, name))
        except adbc.Error as error:
            raise self._unreachable(error) from None
        schema = schema_of(columns)
        with connection, connection.cursor() as cursor:

            def start() -> pa.RecordBatchReader:
                for setting in (*begin, *self.SETTINGS):
                    cursor.execute(setting)
                return self.read(cursor, statement, schema)

            def explain(error: Exception) -> Exception:
                return refused(error, query) if isinstance(error, adbc.Error | OSError) else error

            def state() -> str:
                return self.state("application_name", name)

            with reading(Query(start, cursor.adbc_cancel, explain, self.timeout, self.ended, state=state)) as rows:
                yield rows

    @cached_property
    def _place(self) -> WarehouseUrl:
        return WarehouseUrl.parse(self.url)

    def state(self, column: str, value: str | int) -> str:
        """What the server says of the session with that value in `pg_stat_activity`."""
        with self._connected() as connection:
            found = connection.execute(
                b"SELECT wait_event_type || ' ' || wait_event, pg_blocking_pids(pid) FROM pg_stat_activity"
                b" WHERE " + column.encode() + b" = %s",
                (value,),
            ).fetchone()
        waits, held_by = found or (None, [])
        held = f", held by the process {', '.join(map(str, held_by))}" if held_by else ""
        return f"the server waits for {waits}{held}" if waits else "the server computes" if found else ""

    def _conninfo(self, more: Mapping[str, str] | None = None, name: str = "penstock") -> str:
        """What both drivers connect by; what the URL says about the session goes before what Penstock needs."""
        found = self._place.libpq()
        settings = " ".join(f"-c {name}={value}" for name, value in {**self.session(), **(more or {})}.items())
        if settings:
            found["options"] = f"{found.get('options', '')} {settings}".strip()
        own = {"connect_timeout": str(CONNECT_SECONDS), "client_encoding": "UTF8", "application_name": name}
        return make_conninfo(**{**own, **found})

    def _unreachable(self, error: Exception) -> WarehouseError:
        return WarehouseError(
            f"warehouse at {self._place}",
            expected="to be reached",
            found=said(error).partition("\n")[0],
            todo="Correct PENSTOCK_WAREHOUSE_URL, or start the database.",
        )
