"""The warehouse in Postgres: described and prepared through psycopg, read as Arrow through ADBC's binary COPY."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import Event
from types import ModuleType
from typing import Any, ClassVar

import psycopg
import pyarrow as pa
from psycopg.conninfo import make_conninfo

from penstock.warehouse.estimate import Estimate, from_postgres
from penstock.warehouse.interface import WarehouseError, quoted, quoted_text
from penstock.warehouse.parts import KeyRange, PartReader
from penstock.warehouse.postgres_ranges import key_ranges, within
from penstock.warehouse.postgres_types import PostgresColumn, as_declared, columns_of, schema_of
from penstock.warehouse.query_text import bind, subquery
from penstock.warehouse.reading import Query, reading
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
            text = _with_values(connection, query, bound)
            columns = self._described(connection, text)
        statement = _ordered(text, columns, key)
        with self._running(adbc, statement, columns, query, self.hash_joins() if hash_joins else {}) as rows:
            yield rows

    def natural(self, query: str, bound: Mapping[str, Any] | None = None) -> str:
        """See `Warehouse.natural`. ColumnTypesError names every column whose type nothing can hold."""
        with self._connected() as connection:
            columns = self._described(connection, _with_values(connection, query, bound))
        if all(column.natural for column in columns):
            return query
        listed = ", ".join(column.joined() for column in columns)
        return f"SELECT {listed} FROM (\n{subquery(query)}) AS extract"

    def estimate(self, query: str, bound: Mapping[str, Any] | None = None, *, key: Sequence[str] = ()) -> Estimate:
        """See `Planner.estimate`."""
        with self._connected() as connection:
            text = _with_values(connection, query, bound)
            try:
                statement = f"EXPLAIN {_ordered(text, self.columns(connection, text), key)}"
                lines = [line for (line,) in connection.execute(statement.encode())]
            except (psycopg.Error, WarehouseError) as error:
                return Estimate(unknown=_said(error).partition("\n")[0])
        return from_postgres(lines, key)

    def ranges(self, query: str, bound: Mapping[str, Any] | None = None, *, key: Sequence[str]) -> list[KeyRange]:
        """See `PartSource.ranges`."""
        with self._connected() as connection:
            text = _with_values(connection, query, bound)
            columns = self._described(connection, text)
            kind = next((one.type for one in columns if one.name == key[0]), None)
            statement = _ordered(text, columns, key)
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
                statement = _ordered(query, columns, key)
                of = (str(self._place), statement, version, _rows_of(holder, version) if version else [])
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
                return _refused(error, script, "preparing") if isinstance(error, psycopg.Error) else error

            with reading(Query(start, connection.cancel_safe, explain, self.timeout, self.ended, "preparation")):
                pass

    def columns(self, connection: psycopg.Connection[Any], text: str) -> list[PostgresColumn]:
        """The columns of a query, as the server describes them."""
        return columns_of(connection, text)

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
        try:
            return self.columns(connection, text)
        except psycopg.Error as error:
            raise _refused(error, text) from error

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
        try:
            connection = adbc.connect(self._conninfo(more))
        except adbc.Error as error:
            raise self._unreachable(error) from None
        schema = schema_of(columns)
        with connection, connection.cursor() as cursor:

            def start() -> pa.RecordBatchReader:
                for setting in (*begin, *self.SETTINGS):
                    cursor.execute(setting)
                return self.read(cursor, statement, schema)

            def explain(error: Exception) -> Exception:
                return _refused(error, query) if isinstance(error, adbc.Error | OSError) else error

            with reading(Query(start, cursor.adbc_cancel, explain, self.timeout, self.ended)) as rows:
                yield rows

    @cached_property
    def _place(self) -> WarehouseUrl:
        return WarehouseUrl.parse(self.url)

    def _conninfo(self, more: Mapping[str, str] | None = None) -> str:
        """What both drivers connect by; what the URL says about the session goes before what Penstock needs."""
        found = self._place.libpq()
        settings = " ".join(f"-c {name}={value}" for name, value in {**self.session(), **(more or {})}.items())
        if settings:
            found["options"] = f"{found.get('options', '')} {settings}".strip()
        return make_conninfo(**{"connect_timeout": str(CONNECT_SECONDS), "client_encoding": "UTF8", **found})

    def _unreachable(self, error: Exception) -> WarehouseError:
        return WarehouseError(
            f"warehouse at {self._place}",
            expected="to be reached",
            found=_said(error).partition("\n")[0],
            todo="Correct PENSTOCK_WAREHOUSE_URL, or start the database.",
        )


def _with_values(connection: psycopg.Connection[Any], query: str, bound: Mapping[str, Any] | None) -> str:
    """The query with its values as literals, quoted by the driver: a COPY takes no parameters."""
    if not bound:
        return query
    text = bind(query, bound, "%({})s".format, lambda between: between.replace("%", "%%"))
    return psycopg.ClientCursor(connection).mogrify(text.encode(), dict(bound))


def _ordered(query: str, columns: Sequence[PostgresColumn], key: Sequence[str]) -> str:
    """The query as it is read, in binary order of the key."""
    named = {column.name: column for column in columns}
    order = ", ".join(named[name].ordered() if name in named else f"extract.{quoted(name)}" for name in key)
    listed = ", ".join(column.read() for column in columns)
    return f"SELECT {listed} FROM (\n{subquery(query)}) AS extract{f' ORDER BY {order}' if order else ''}"


def _rows_of(connection: psycopg.Connection[Any], query: str) -> list[tuple[Any, ...]]:
    try:
        return connection.execute(query.encode()).fetchall()
    except psycopg.Error as error:
        raise _refused(error, query) from error


def _refused(error: Exception, query: str, what: str = "query") -> WarehouseError:
    return WarehouseError(what, found=_said(error), todo=f"The {what} was: {query.strip()}")


def _said(error: Exception) -> str:
    """The server's own words, without those that the driver puts around them."""
    text = str(error).strip()
    _, marked, words = text.partition("ERROR:  ")
    words, _, _ = words.partition("\n\nQuery was:")
    return words.partition(" SQLSTATE:")[0].strip() if marked else text
