"""The warehouse in Snowflake, through the vendor's connector and its Arrow batches. Never tried on a Snowflake.

- Quoted names ignore case, as names without quotes do: every column has its name in small letters.
- Whole numbers have no width there. NUMBER(p, 0) of at most 4, 9 or 18 digits is as wide as a book's types, and INT,
  which is NUMBER(38, 0), is a bigint.
"""

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar

import pyarrow as pa

from penstock.warehouse.column import Column, demand_columns, schema_of
from penstock.warehouse.described import DescribedWarehouse
from penstock.warehouse.interface import quoted
from penstock.warehouse.literals import Literals, escaped, instant, literal
from penstock.warehouse.query_text import subquery
from penstock.warehouse.reading import run
from penstock.warehouse.unload import UnloadFile, UnloadReport
from penstock.warehouse.url import WarehouseUrl, driver, unreachable

PARAMETERS = {
    "TIMEZONE": "UTC",
    "QUOTED_IDENTIFIERS_IGNORE_CASE": True,
    "ABORT_DETACHED_QUERY": True,
    "QUERY_TAG": "penstock",
}
LITERALS: Literals = {
    datetime: lambda value: (
        f"'{instant(value)}{'' if value.tzinfo is None else ' +0000'}'::"
        f"{'TIMESTAMP_NTZ' if value.tzinfo is None else 'TIMESTAMP_TZ'}"
    ),
    str: escaped,
}
_FILE_BYTES = 256 << 20
NUMBER = 0
INT_DIGITS = 38
CODES: dict[int, tuple[str, pa.DataType | None, str]] = {
    1: ("FLOAT", pa.float64(), ""),
    2: ("VARCHAR", pa.string(), ""),
    3: ("DATE", pa.date32(), ""),
    5: ("VARIANT", None, ""),
    6: ("TIMESTAMP_LTZ", pa.timestamp("us", "UTC"), ""),
    7: ("TIMESTAMP_TZ", pa.timestamp("us", "UTC"), "{}::TIMESTAMP_LTZ"),
    8: ("TIMESTAMP_NTZ", pa.timestamp("us"), ""),
    9: ("OBJECT", None, ""),
    10: ("ARRAY", None, ""),
    11: ("BINARY", pa.binary(), ""),
    12: ("TIME", pa.time64("us"), ""),
    13: ("BOOLEAN", pa.bool_(), ""),
    14: ("GEOGRAPHY", None, ""),
    15: ("GEOMETRY", None, ""),
    16: ("VECTOR", None, ""),
}
"""https://docs.snowflake.com/en/developer-guide/python-connector/python-connector-api#label-python-connector-type-codes:
code -> name, Arrow type, cast."""


def column(name: str, code: int, precision: int | None, scale: int | None) -> Column | None:
    """The column of a type code; None where nothing can hold it."""
    if code == NUMBER:
        return Column(name, number(precision or INT_DIGITS, scale or 0))
    _, kind, cast = CODES.get(code, ("", None, ""))
    return None if kind is None else Column(name, kind, cast)


def number(precision: int, scale: int) -> pa.DataType:
    """The type of NUMBER(precision, scale)."""
    widths = ((4, pa.int16()), (9, pa.int32()), (18, pa.int64()))
    if scale or 18 < precision < INT_DIGITS:
        return pa.decimal128(precision, scale)
    return next((kind for digits, kind in widths if precision <= digits), pa.int64())


def unload_statement(query: str, columns: Sequence[Column], folder: str, integration: str) -> str:
    """The statement that unloads a query. Parquet has no instants there: they go as wall clocks of UTC."""
    listed = [
        f"CONVERT_TIMEZONE('UTC', {one.expression()})::TIMESTAMP_NTZ AS {quoted(one.name)}"
        if pa.types.is_timestamp(one.type) and one.type.tz
        else one.selected()
        for one in columns
    ]
    by = f" STORAGE_INTEGRATION = {quoted(integration)}" if integration else ""
    return (
        f"COPY INTO {escaped(folder + '/')} FROM (SELECT {', '.join(listed)} FROM (\n{subquery(query)}) AS extract)"
        f"{by} FILE_FORMAT = (TYPE = PARQUET) HEADER = TRUE DETAILED_OUTPUT = TRUE MAX_FILE_SIZE = {_FILE_BYTES}"
    )


@dataclass(frozen=True)
class SnowflakeSession:
    """See `described.Session`. `beside` opens another connection."""

    connection: Any
    beside: Any

    def columns(self, query: str) -> list[Column]:
        """See `Session.columns`."""
        found = self.connection.cursor().describe(subquery(query))
        return demand_columns((one.name.lower(), self._named(one.type_code), self._column(one)) for one in found)

    def rows(self, statement: str, schema: pa.Schema) -> Iterable[pa.RecordBatch]:  # noqa: ARG002
        """See `Session.rows`."""
        cursor = self.connection.cursor()
        cursor.execute(statement)
        return (batch for table in cursor.fetch_arrow_batches() for batch in table.to_batches())

    def cost(self, statement: str) -> str:  # noqa: ARG002
        """See `Session.cost`: nothing is known."""
        return ""

    def rows_of(self, statement: str) -> list[tuple[Any, ...]]:
        """The few rows of a statement that is no query."""
        found: list[tuple[Any, ...]] = self.connection.cursor().execute(statement).fetchall()
        return found

    def run(self, statement: str) -> None:
        """See `Session.run`."""
        self.connection.cursor().execute(statement)

    def cancel(self) -> None:
        """See `Session.cancel`."""
        with self.beside() as connection:
            connection.cursor().execute(f"SELECT SYSTEM$CANCEL_ALL_QUERIES({int(self.connection.session_id)})")

    def _column(self, found: Any) -> Column | None:
        return column(found.name.lower(), found.type_code, found.precision, found.scale)

    def _named(self, code: int) -> str:
        return CODES.get(code, (f"type {code}",))[0]


@dataclass(frozen=True)
class SnowflakeWarehouse(DescribedWarehouse):
    """`snowflake://user:password@account/database/schema?warehouse=…&role=…`; other options are the connector's own."""

    DIALECT: ClassVar[str] = "snowflake"
    BACKSLASHES: ClassVar[bool] = True

    @contextmanager
    def session(self) -> Iterator[SnowflakeSession]:
        """See `DescribedWarehouse.session`."""
        try:
            connection = self._connect()
        except self.refusals() as error:
            raise unreachable(self._place, error) from None
        with connection:
            yield SnowflakeSession(connection, self._connect)

    def _connect(self) -> Any:
        return driver("snowflake.connector", "snowflake").connect(**self.options())

    def options(self) -> dict[str, Any]:
        """What the connector is told; a key pair and OAuth are options of its own: private_key_file, authenticator."""
        url = self._place.parsed
        database, _, schema = (url.database or "").partition("/")
        own = {"user": url.username, "password": url.password, "account": url.host, "database": database}
        return {
            "login_timeout": 30,
            "arrow_number_to_decimal": True,
            "session_parameters": PARAMETERS,
            **{name: value for name, value in {**own, "schema": schema}.items() if value},
            **self._place.driver_options(),
        }

    def literal(self, value: Any) -> str:
        """See `DescribedWarehouse.literal`."""
        return literal(value, LITERALS)

    @property
    def unload_url(self) -> str:
        """See `UnloadSource.unload_url`."""
        return self._place.unload_option("unload")

    def unload(self, query: str, folder: str) -> UnloadReport:
        """See `UnloadSource.unload`."""
        found: list[UnloadFile] = []
        with self.session() as session:
            text = self._read(query)
            columns = self._described(session, text, query)
            statement = unload_statement(text, columns, folder, self._place.unload_option("storage_integration"))

            def start() -> pa.RecordBatchReader:
                for name, size, rows in session.rows_of(statement):
                    found.append(UnloadFile(posixpath.basename(name), int(size), int(rows)))
                return pa.RecordBatchReader.from_batches(pa.schema([]), [])

            run(self._query(session, start, query, "unload"))
        return UnloadReport(schema_of(columns), sum(one.rows for one in found), tuple(found))

    def refusals(self) -> tuple[type[Exception], ...]:
        """See `DescribedWarehouse.refusals`."""
        return (driver("snowflake.connector.errors", "snowflake").Error, OSError)

    @cached_property
    def _place(self) -> WarehouseUrl:
        return WarehouseUrl.parse(self.url)
