"""The warehouse in ClickHouse: a server by HTTP, or chdb's engine over a folder. Rows come as Arrow through either.

- Settings make the session standard: nulls where a join or a cast has nothing, UTC, new columns that may be null.
- A query is known in the server by a comment that it begins with, and killed by that from a second connection.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar
from uuid import uuid4

import pyarrow as pa

from penstock.warehouse.clickhouse.doors import Door, EmbeddedDoor, HttpDoor
from penstock.warehouse.clickhouse.types import column
from penstock.warehouse.clickhouse.words import clickhouse_words
from penstock.warehouse.column import Column, demand_columns
from penstock.warehouse.described import DescribedWarehouse
from penstock.warehouse.interface import ColumnNamesError, WarehouseError
from penstock.warehouse.literals import Literals, escaped, instant, literal
from penstock.warehouse.query_text import subquery
from penstock.warehouse.url import WarehouseUrl, kind_of

_INSTANT = "toDateTime64({}, 6{})"
LITERALS: Literals = {
    datetime: lambda value: _INSTANT.format(escaped(instant(value)), ", 'UTC'" if value.tzinfo else ""),
    date: lambda value: f"toDate32('{value.isoformat()}')",
    time: lambda value: f"CAST('{value.isoformat('microseconds')}' AS Time64(6))",
    Decimal: lambda value: f"toDecimal128('{value:f}', {max(0, -int(value.as_tuple().exponent))})",
    str: escaped,
}


@dataclass(frozen=True)
class ClickHouseSession:
    """See `described.Session`."""

    door: Door
    mark: str

    def columns(self, query: str) -> list[Column]:
        """See `Session.columns`. ClickHouse itself gives the second column of one name its table's name too."""
        described = self._described(query)
        names = {name for name, _ in described}
        second = [name for name in names if name.partition(".")[2] in names and not _quotes(query, name)]
        if second:
            raise ColumnNamesError(
                expected="a name of its own for each column",
                found=", ".join(f"{one.partition('.')[2]!r} twice, which ClickHouse calls {one!r}" for one in second),
            )
        return demand_columns(((name, kind, column(name, kind)) for name, kind in described), exact_names=True)

    def _described(self, query: str) -> list[tuple[str, str]]:
        return [(row["name"], row["type"]) for row in self.door.few(f"DESCRIBE (\n{subquery(query)})")]

    def rows(self, statement: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:  # noqa: ARG002
        """See `Session.rows`."""
        return self.door.rows(f"{self.mark} {statement}")

    def cost(self, statement: str) -> str:
        """See `Session.cost`: rows of tables that have an index."""
        found = self.door.few(f"EXPLAIN ESTIMATE {statement}")
        return f"{sum(int(row['rows']) for row in found):,} rows read" if found else ""

    def state(self) -> str:
        """See `StateSession.state`."""
        with self.door.another() as beside:
            found = beside.few(
                "SELECT read_rows, greatest(read_rows, total_rows_approx) AS all_rows FROM system.processes"
                f" WHERE startsWith(query, {escaped(self.mark)})"
            )
        return "".join(f"it has read {int(row['read_rows']):,} of {int(row['all_rows']):,} rows" for row in found)

    def run(self, statement: str) -> None:
        """See `Session.run`."""
        self.door.run(f"{self.mark} {statement}")

    def cancel(self) -> None:
        """See `Session.cancel`. Where the server is gone, there is nothing to end."""
        with self.door.another() as beside:
            beside.run(f"KILL QUERY WHERE startsWith(query, {escaped(self.mark)}) ASYNC")


def _quotes(query: str, name: str) -> bool:
    """Whether the query itself has a name, which with a dot in it stands between quotes."""
    return any(f"{quote}{name}{quote}" in query for quote in '"`')


@dataclass(frozen=True)
class ClickHouseWarehouse(DescribedWarehouse):
    """ClickHouse 25.3 or newer. `patience` is in seconds while another process has the folder of the engine open."""

    DIALECT: ClassVar[str] = "clickhouse"
    BACKSLASHES: ClassVar[bool] = True
    patience: float = 120.0

    @contextmanager
    def session(self) -> Iterator[ClickHouseSession]:
        """See `DescribedWarehouse.session`."""
        with self._door.another() as door:
            yield ClickHouseSession(door, f"/* penstock {uuid4().hex} */")

    def literal(self, value: Any) -> str:
        """See `DescribedWarehouse.literal`."""
        return literal(value, LITERALS)

    def refusals(self) -> tuple[type[Exception], ...]:
        """See `DescribedWarehouse.refusals`."""
        return self._door.refusals()

    def spoken(self, text: str) -> str:
        """See `DescribedWarehouse.spoken`."""
        return clickhouse_words(text)

    def said(self, error: Exception) -> str:
        """See `DescribedWarehouse.said`: without what the drivers put around the words, and how to make bug reports."""
        said = str(error)
        words = said[max(0, said.find("Code: ")) :]
        return (
            words.partition(" (version ")[0].partition(" (for url ")[0].partition("\nFor more information")[0].strip()
        )

    def demand_door(self) -> None:
        """WarehouseError where the driver is missing or the URL has a fault, before anything is connected."""
        self._door.demand()

    @cached_property
    def _door(self) -> Door:
        if kind_of(self.url) == "chdb":
            return EmbeddedDoor(folder(self.url), self.patience)
        return HttpDoor(WarehouseUrl.parse(self.url), self.timeout)


def folder(url: str) -> str:
    """The folder of `chdb:///path`; WarehouseError where the URL names none."""
    path = url.partition(":")[2].removeprefix("//")
    if not path.startswith("/") or path.strip("/") == "":
        raise WarehouseError(
            "PENSTOCK_WAREHOUSE_URL", expected="chdb:///path/of/a/folder", found="no path that begins with /"
        )
    return path.partition("?")[0]
