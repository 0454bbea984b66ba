"""The warehouse in Databricks, through the vendor's connector and its Arrow batches. Never tried on a Databricks."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar

import pyarrow as pa

from penstock.warehouse.backticks import backticked
from penstock.warehouse.column import Column, demand_columns
from penstock.warehouse.described import DescribedWarehouse
from penstock.warehouse.interface import BATCH_ROWS
from penstock.warehouse.literals import Literals, escaped, instant, literal
from penstock.warehouse.query_text import subquery
from penstock.warehouse.url import WarehouseUrl, driver, unreachable

LITERALS: Literals = {
    datetime: lambda value: (
        f"TIMESTAMP '{instant(value)} UTC'" if value.tzinfo else f"TIMESTAMP_NTZ '{instant(value)}'"
    ),
    str: escaped,
}
TYPES: tuple[tuple[str, pa.DataType, str], ...] = (
    ("boolean", pa.bool_(), ""),
    ("tinyint", pa.int8(), ""),
    ("smallint", pa.int16(), ""),
    ("int", pa.int32(), ""),
    ("bigint", pa.int64(), ""),
    ("float", pa.float32(), ""),
    ("double", pa.float64(), ""),
    (r"string|varchar\(\d+\)", pa.string(), ""),
    (r"(string|varchar\(\d+\)) collate \w+", pa.string(), "{} COLLATE UTF8_BINARY"),
    (r"char\(\d+\).*", pa.string(), "rtrim(CAST({} AS STRING)) COLLATE UTF8_BINARY"),
    ("binary", pa.binary(), ""),
    ("date", pa.date32(), ""),
    ("timestamp_ntz", pa.timestamp("us"), ""),
    ("timestamp", pa.timestamp("us", "UTC"), ""),
)
"""Type as DESCRIBE QUERY has it, Arrow type, cast."""
_DECIMAL = re.compile(r"decimal\((\d+), ?(\d+)\)")


def column(name: str, described: str) -> Column | None:
    """The column of a type; None where nothing can hold it."""
    kind = described.lower()
    if decimal := _DECIMAL.fullmatch(kind):
        return Column(name, pa.decimal128(int(decimal[1]), int(decimal[2])))
    return next((Column(name, arrow, cast) for form, arrow, cast in TYPES if re.fullmatch(form, kind)), None)


@dataclass(frozen=True)
class DatabricksSession:
    """See `described.Session`."""

    connection: Any
    cursor: Any

    def columns(self, query: str) -> list[Column]:
        """See `Session.columns`."""
        with self.connection.cursor() as cursor:
            cursor.execute(f"DESCRIBE QUERY {backticked(subquery(query))}")
            return demand_columns((row[0], row[1], column(row[0], row[1])) for row in cursor.fetchall())

    def rows(self, statement: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:  # noqa: ARG002
        """See `Session.rows`."""
        self.cursor.execute(backticked(statement))
        while (found := self.cursor.fetchmany_arrow(BATCH_ROWS)).num_rows:
            yield from found.to_batches()

    def cost(self, statement: str) -> str:  # noqa: ARG002
        """See `Session.cost`: nothing is known."""
        return ""

    def run(self, statement: str) -> None:
        """See `Session.run`."""
        self.cursor.execute(backticked(statement))

    def cancel(self) -> None:
        """See `Session.cancel`."""
        self.cursor.cancel()


@dataclass(frozen=True)
class DatabricksWarehouse(DescribedWarehouse):
    """`databricks://token:TOKEN@host?http_path=/sql/1.0/warehouses/…&catalog=…&schema=…`."""

    DIALECT: ClassVar[str] = "databricks"
    BACKSLASHES: ClassVar[bool] = True

    @contextmanager
    def session(self) -> Iterator[DatabricksSession]:
        """See `DescribedWarehouse.session`."""
        try:
            connection = driver("databricks.sql", "databricks").connect(**self.options())
        except self.refusals() as error:
            raise unreachable(self._place, error) from None
        with connection, connection.cursor() as cursor:
            yield DatabricksSession(connection, cursor)

    def options(self) -> dict[str, Any]:
        """What the connector is told; OAuth is an option of its own: auth_type."""
        url = self._place.parsed
        catalog, _, schema = (url.database or "").partition("/")
        found = {"access_token": url.password, "catalog": catalog, "schema": schema, **url.query}
        return {
            "server_hostname": url.host,
            "session_configuration": {"timezone": "UTC", "ansi_mode": "true"},
            "user_agent_entry": "penstock",
            **{name: value for name, value in found.items() if value},
        }

    def literal(self, value: Any) -> str:
        """See `DescribedWarehouse.literal`."""
        return literal(value, LITERALS)

    def refusals(self) -> tuple[type[Exception], ...]:
        """See `DescribedWarehouse.refusals`."""
        return (driver("databricks.sql.exc", "databricks").Error, OSError)

    @cached_property
    def _place(self) -> WarehouseUrl:
        return WarehouseUrl.parse(self.url)
