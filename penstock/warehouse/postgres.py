"""The warehouse in Postgres: what is different there from any SQLAlchemy URL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from penstock.warehouse.interface import ColumnTypesError, quoted
from penstock.warehouse.query_text import bind, subquery
from penstock.warehouse.sqlalchemy_url import SqlWarehouse

# The type codes of a Postgres cursor (pg_type.oid) that Arrow has a fixed type for.
TYPES: dict[int, pa.DataType] = {
    16: pa.bool_(),
    17: pa.binary(),
    20: pa.int64(),
    21: pa.int16(),
    23: pa.int32(),
    25: pa.string(),
    700: pa.float32(),
    701: pa.float64(),
    1043: pa.string(),
    1082: pa.date32(),
    1083: pa.time64("us"),
    1114: pa.timestamp("us"),
    1184: pa.timestamp("us", tz="UTC"),
}
NUMERIC, CHAR, TIME_WITH_ZONE = 1700, 1042, 1266
MOST_DIGITS = 38
AS_TEXT = frozenset({CHAR, 18, 19, 2950})
"""char(n), "char", name and uuid: read and joined as the text that a request and a replicated table hold. The blanks
with which char(n) is padded are no part of it."""
SESSION = (
    ("TimeZone", "UTC"),
    ("DateStyle", "ISO"),
    ("client_connection_check_interval", "1s"),  # a query whose client is gone ends
)
CONNECT_SECONDS = 10


@dataclass(frozen=True)
class PostgresWarehouse(SqlWarehouse):
    """Postgres 14 or newer, through psycopg 3, in a session whose time zone is UTC."""

    @cached_property
    def engine(self) -> sa.Engine:
        """The engine; whatever driver the URL names, it is psycopg 3."""
        url = make_url(self.url.replace("postgres://", "postgresql://", 1)).set(drivername="postgresql+psycopg")
        options = " ".join(f"-c {name}={value}" for name, value in SESSION)
        given = url.query.get("options")
        query = {"options": f"{given} {options}" if isinstance(given, str) else options}
        if "connect_timeout" not in url.query:
            query["connect_timeout"] = str(CONNECT_SECONDS)
        return sa.create_engine(url.update_query_dict(query), pool_pre_ping=True)

    def execute(self, connection: sa.Connection, query: str, bound: Mapping[str, Any]) -> sa.CursorResult[Any]:
        """Run a query with its values bound, never as part of its text."""
        if not bound:
            return connection.exec_driver_sql(query.replace("%", "%%"), {})
        text = bind(query, bound, "%({})s".format, lambda between: between.replace("%", "%%"))
        return connection.exec_driver_sql(text, dict(bound))

    def natural(
        self, query: str, bound: Mapping[str, Any] | None = None, *, connection: sa.Connection | None = None
    ) -> str:
        """See `Warehouse.natural`. WarehouseError names every column whose type nothing can hold."""
        if connection is None:
            with self._connected() as own:
                try:
                    return self.natural(query, bound, connection=own)
                except sa.exc.DBAPIError as error:
                    raise self._refused(error, query) from error
        casts = self._casts(connection, query, bound or {})
        if not any(casts.values()):
            return query
        columns = ", ".join(f"{quoted(name)}{cast} AS {quoted(name)}" for name, cast in casts.items())
        return f"SELECT {columns} FROM (\n{subquery(query)}) AS extract"

    def ordered(self, connection: sa.Connection, query: str, bound: Mapping[str, Any], key: Sequence[str]) -> str:
        """The query in binary order of the key, whatever collation the database sorts text by."""
        if not key:
            return query
        described = self.execute(connection, f"SELECT * FROM (\n{subquery(query)}) AS extract LIMIT 0", bound)
        types = dict(zip(described.keys(), self.types(described), strict=True))
        described.close()
        order = ", ".join(quoted(name) + (' COLLATE "C"' if types.get(name) == pa.string() else "") for name in key)
        return f"SELECT * FROM (\n{subquery(query)}) AS extract ORDER BY {order}"

    def types(self, result: sa.CursorResult[Any]) -> list[pa.DataType | None]:
        """The Arrow types of a result's columns, None where the rows have to show it."""
        return [_type(column) for column in _description(result)]

    def _casts(self, connection: sa.Connection, query: str, bound: Mapping[str, Any]) -> dict[str, str]:
        """Column -> the cast that makes it a type which both books and requests have, or nothing."""
        described = self.execute(connection, f"SELECT * FROM (\n{subquery(query)}) AS extract LIMIT 0", bound)
        columns = list(_description(described))
        described.close()
        known = self._named(connection, {column.type_code for column in columns} - set(TYPES))
        refused = {c.name: known[c.type_code][0] for c in columns if c.type_code == TIME_WITH_ZONE}
        casts = {}
        for column in columns:
            _, kind, category = known.get(column.type_code, ("", "", ""))
            if column.type_code in AS_TEXT or kind == "e" or (category == "S" and column.type_code not in TYPES):
                casts[column.name] = "::text"
            elif column.type_code == NUMERIC and _type(column) is None:
                casts[column.name] = "::double precision"
            else:
                casts[column.name] = ""
                if column.type_code not in TYPES and column.type_code != NUMERIC:
                    refused[column.name] = known[column.type_code][0]
        if refused:
            raise ColumnTypesError(refused, [name for name in casts if name not in refused])
        return casts

    def _named(self, connection: sa.Connection, oids: set[int]) -> dict[int, tuple[str, str, str]]:
        """Type code -> name, kind (`e` for an enumeration) and category (`S` for text) of types."""
        if not oids:
            return {}
        rows = connection.execute(
            sa.text(
                "SELECT oid::bigint, format_type(oid, NULL), typtype, typcategory FROM pg_type WHERE oid = ANY(:oids)"
            ),
            {"oids": list(oids)},
        )
        return {oid: (name, kind, category) for oid, name, kind, category in rows}


def _description(result: sa.CursorResult[Any]) -> Sequence[Any]:
    return (result.cursor.description if result.cursor is not None else None) or ()


def _type(column: Any) -> pa.DataType | None:
    """The Arrow type of a column of psycopg's cursor; None for a numeric without declared digits."""
    if column.type_code == NUMERIC and column.precision and column.precision <= MOST_DIGITS:
        return pa.decimal128(column.precision, max(column.scale or 0, 0))
    return TYPES.get(column.type_code)
