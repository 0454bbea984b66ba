"""The warehouse behind any SQLAlchemy URL, read through a server-side cursor."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from penstock.warehouse.interface import BATCH_ROWS, WarehouseError

# The type codes of a Postgres cursor (pg_type.oid) that Arrow has a fixed type for.
POSTGRES_TYPES: dict[int, pa.DataType] = {
    16: pa.bool_(),
    17: pa.binary(),
    20: pa.int64(),
    21: pa.int16(),
    23: pa.int32(),
    25: pa.string(),
    700: pa.float32(),
    701: pa.float64(),
    1042: pa.string(),
    1043: pa.string(),
    1082: pa.date32(),
    1114: pa.timestamp("us"),
    1184: pa.timestamp("us", tz="UTC"),
}


@dataclass(frozen=True)
class SqlWarehouse:
    """Postgres, Redshift, or whatever else SQLAlchemy has a dialect for."""

    url: str

    @cached_property
    def engine(self) -> sa.Engine:
        """The SQLAlchemy engine; bare `postgresql://` means psycopg 3."""
        return sa.create_engine(self.url.replace("postgresql://", "postgresql+psycopg://", 1), pool_pre_ping=True)

    @property
    def dialect(self) -> str:
        """SQLAlchemy's name of the dialect."""
        return self.engine.dialect.name

    @contextmanager
    def batches(
        self, query: str, bound: Mapping[str, Any] | None = None, *, key: Sequence[str] = ()
    ) -> Iterator[pa.RecordBatchReader]:
        """See `Warehouse.batches`; WarehouseError with the database's own words if the query is refused."""
        with self.engine.connect().execution_options(stream_results=True, max_row_buffer=BATCH_ROWS) as connection:
            try:
                ordered = self._ordered(connection, query, bound or {}, key) if key else query
                result = connection.execute(sa.text(ordered), dict(bound or {}))
                yield _reader(result)
            except sa.exc.ProgrammingError as error:
                raise WarehouseError("query", found=str(error.orig), todo=f"The query was: {query}") from error

    def prepare(self, script: str) -> None:
        """See `Warehouse.prepare`."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql(script)

    def _ordered(self, connection: sa.Connection, query: str, bound: Mapping[str, Any], key: Sequence[str]) -> str:
        """The query in binary order of the key, whatever collation the database sorts text by."""
        quote = self.engine.dialect.identifier_preparer.quote
        inner = query.rstrip().rstrip(";")
        described = connection.execute(sa.text(f"SELECT * FROM ({inner}) AS extract LIMIT 0"), dict(bound))
        types = dict(zip(described.keys(), _types(described), strict=True))
        binary = ' COLLATE "C"' if self.dialect == "postgresql" else ""
        order = ", ".join(quote(name) + (binary if types.get(name) == pa.string() else "") for name in key)
        return f"SELECT * FROM ({inner}) AS extract ORDER BY {order}"


def _types(result: sa.CursorResult[Any]) -> list[pa.DataType | None]:
    description: Any = result.cursor.description if result.cursor is not None else ()
    return [POSTGRES_TYPES.get(column[1]) for column in description or ()]


def _reader(result: sa.CursorResult[Any]) -> pa.RecordBatchReader:
    """The result as Arrow. A type that the cursor does not name is inferred from the first batch."""
    names, types = list(result.keys()), _types(result)
    partitions = result.partitions(BATCH_ROWS)
    first = _arrays(next(partitions, []), types)
    schema = pa.schema([pa.field(name, array.type) for name, array in zip(names, first, strict=True)])

    def stream() -> Iterator[pa.RecordBatch]:
        yield pa.RecordBatch.from_arrays(first, schema=schema)
        for rows in partitions:
            yield pa.RecordBatch.from_arrays(_arrays(rows, schema.types), schema=schema)

    return pa.RecordBatchReader.from_batches(schema, stream())


def _arrays(rows: Sequence[Sequence[Any]], types: Sequence[pa.DataType | None]) -> list["pa.Array[Any]"]:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(types)
    return [pa.array(column, type=wanted) for column, wanted in zip(columns, types, strict=True)]
