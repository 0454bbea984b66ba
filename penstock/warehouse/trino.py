"""The warehouse in Trino, through the vendor's client, whose rows become Arrow here. Never tried on a Trino."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import pyarrow as pa

from penstock.warehouse.column import MOST_DIGITS, Column, demand_columns
from penstock.warehouse.described import DescribedWarehouse
from penstock.warehouse.interface import BATCH_ROWS
from penstock.warehouse.literals import literal
from penstock.warehouse.query_text import subquery
from penstock.warehouse.url import WarehouseUrl, driver, unreachable

TLS_PORTS = (443, 8443)
TYPES: tuple[tuple[str, pa.DataType, str], ...] = (
    ("boolean", pa.bool_(), ""),
    ("tinyint", pa.int8(), ""),
    ("smallint", pa.int16(), ""),
    ("integer", pa.int32(), ""),
    ("bigint", pa.int64(), ""),
    ("real", pa.float32(), ""),
    ("double", pa.float64(), ""),
    (r"varchar(\(\d+\))?", pa.string(), ""),
    (r"char\(\d+\)", pa.string(), "rtrim(CAST({} AS varchar))"),
    ("uuid", pa.string(), "CAST({} AS varchar)"),
    ("varbinary", pa.binary(), ""),
    ("date", pa.date32(), ""),
    (r"time\([0-6]\)", pa.time64("us"), ""),
    (r"timestamp\([0-6]\)", pa.timestamp("us"), ""),
    (r"timestamp\([0-6]\) with time zone", pa.timestamp("us", "UTC"), "{} AT TIME ZONE 'UTC'"),
)
"""Type as the server describes it, Arrow type, cast. What is finer than a microsecond is not taken."""
_DECIMAL = re.compile(r"decimal\((\d+), ?(\d+)\)")


def column(name: str, kind: str) -> Column | None:
    """The column of a type; None where nothing can hold it."""
    if decimal := _DECIMAL.fullmatch(kind):
        precision, scale = map(int, decimal.groups())
        return Column(name, pa.decimal128(precision, scale)) if precision <= MOST_DIGITS else None
    return next((Column(name, arrow, cast) for form, arrow, cast in TYPES if re.fullmatch(form, kind)), None)


@dataclass(frozen=True)
class TrinoSession:
    """See `described.Session`."""

    connection: Any
    cursor: Any

    def columns(self, query: str) -> list[Column]:
        """See `Session.columns`. Trino describes a result; without rows, it reads none."""
        cursor = self.connection.cursor()
        cursor.execute(f"SELECT * FROM (\n{subquery(query)}) AS extract LIMIT 0")
        cursor.fetchall()
        return demand_columns((one[0], one[1], column(one[0], one[1])) for one in cursor.description)

    def rows(self, statement: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """See `Session.rows`."""
        self.cursor.execute(statement)
        while found := self.cursor.fetchmany(BATCH_ROWS):
            columns = zip(*found, strict=True)
            arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def cost(self, statement: str) -> str:  # noqa: ARG002
        """See `Session.cost`: nothing is known."""
        return ""

    def state(self) -> str:
        """See `StateSession.state`."""
        share = (self.cursor.stats or {}).get("progressPercentage")
        return "" if share is None else f"{share:.0f} % done by the server's word"

    def run(self, statement: str) -> None:
        """See `Session.run`."""
        self.cursor.execute(statement)
        self.cursor.fetchall()

    def cancel(self) -> None:
        """See `Session.cancel`."""
        self.cursor.cancel()


@dataclass(frozen=True)
class TrinoWarehouse(DescribedWarehouse):
    """`trino://user:password@host:8443/catalog/schema`; with a password or one of the ports of TLS, by TLS."""

    DIALECT: ClassVar[str] = "trino"

    @contextmanager
    def session(self) -> Iterator[TrinoSession]:
        """See `DescribedWarehouse.session`."""
        module = driver("trino.dbapi", "trino")
        try:
            connection = module.connect(**self.options())
        except self.refusals() as error:
            raise unreachable(self._place, error) from None
        with connection:
            yield TrinoSession(connection, connection.cursor())

    def options(self) -> dict[str, Any]:
        """What the client is told."""
        url = self._place.parsed
        catalog, _, schema = (url.database or "").partition("/")
        secure = bool(url.password) or url.port in TLS_PORTS
        found = {"catalog": catalog, "schema": schema, **url.query}
        if url.password:
            found["auth"] = driver("trino.auth", "trino").BasicAuthentication(url.username, url.password)
        return {
            "host": url.host,
            "port": url.port or (443 if secure else 8080),
            "user": url.username or "penstock",
            "http_scheme": "https" if secure else "http",
            "timezone": "UTC",
            "source": "penstock",
            **{name: value for name, value in found.items() if value},
        }

    def literal(self, value: Any) -> str:
        """See `DescribedWarehouse.literal`."""
        return literal(value, {})

    def refusals(self) -> tuple[type[Exception], ...]:
        """See `DescribedWarehouse.refusals`."""
        return (driver("trino.exceptions", "trino").Error, OSError)

    @cached_property
    def _place(self) -> WarehouseUrl:
        return WarehouseUrl.parse(self.url)
