"""The warehouse behind any SQLAlchemy URL, read through a server-side cursor."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from penstock.warehouse.interface import BATCH_ROWS, WarehouseError
from penstock.warehouse.query_text import bind, subquery

_BIND = re.compile(r"(?<![:\w\\]):(?=\w)")
"""What `sqlalchemy.text` would take for a value to bind."""
Rows = Sequence[Sequence[Any]]


@dataclass(frozen=True)
class SqlWarehouse:
    """Whatever SQLAlchemy has a dialect for. A kind that needs more overrides the methods that are different there."""

    url: str

    @cached_property
    def engine(self) -> sa.Engine:
        """The engine; a connection is tried before it is used again."""
        return sa.create_engine(self.url, pool_pre_ping=True)

    @property
    def dialect(self) -> str:
        """SQLAlchemy's name of the dialect."""
        return self.engine.dialect.name

    @contextmanager
    def batches(
        self, query: str, bound: Mapping[str, Any] | None = None, *, key: Sequence[str] = ()
    ) -> Iterator[pa.RecordBatchReader]:
        """See `Warehouse.batches`; WarehouseError with the database's own words if the query is refused."""
        values = dict(bound or {})
        with self._connected() as connection:
            try:
                statement = self.ordered(connection, self.natural(query, values, connection=connection), values, key)
                result = self.execute(connection, statement, values)
                yield self._reader(result)
            except sa.exc.DBAPIError as error:
                raise self._refused(error, query) from error

    def natural(
        self,
        query: str,
        bound: Mapping[str, Any] | None = None,  # noqa: ARG002
        *,
        connection: sa.Connection | None = None,  # noqa: ARG002
    ) -> str:
        """See `Warehouse.natural`."""
        return query

    def prepare(self, script: str) -> None:
        """See `Warehouse.prepare`."""
        with self._connected():
            pass  # says that the database is not there, rather than what was to be run in it
        try:
            with self.engine.begin() as connection:
                connection.exec_driver_sql(script)
        except sa.exc.DBAPIError as error:
            raise self._refused(error, script, "preparing") from error

    def execute(self, connection: sa.Connection, query: str, bound: Mapping[str, Any]) -> sa.CursorResult[Any]:
        """Run a query with its values bound, never as part of its text."""
        escaped = bind(query, bound, ":{}".format, lambda text: _BIND.sub(r"\\:", text))
        return connection.execute(sa.text(escaped), dict(bound))

    def ordered(self, connection: sa.Connection, query: str, bound: Mapping[str, Any], key: Sequence[str]) -> str:  # noqa: ARG002
        """The query in binary order of the key."""
        quote = self.engine.dialect.identifier_preparer.quote
        if not key:
            return query
        return f"SELECT * FROM (\n{subquery(query)}) AS extract ORDER BY {', '.join(map(quote, key))}"

    def types(self, result: sa.CursorResult[Any]) -> list[pa.DataType | None]:
        """The Arrow types of a result's columns, None where the rows have to show it."""
        return [None] * len(result.keys())

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        try:
            connected = self.engine.connect()
        except sa.exc.DBAPIError as error:
            raise WarehouseError(
                f"warehouse at {self.engine.url.render_as_string()}",
                expected="to be reached",
                found=_first_line(error),
                todo="Correct PENSTOCK_WAREHOUSE_URL, or start the database.",
            ) from None
        with connected.execution_options(stream_results=True, max_row_buffer=BATCH_ROWS) as connection:
            yield connection

    def _refused(self, error: sa.exc.DBAPIError, query: str, what: str = "query") -> WarehouseError:
        return WarehouseError(what, found=str(error.orig).strip(), todo=f"The {what} was: {query.strip()}")

    def _reader(self, result: sa.CursorResult[Any]) -> pa.RecordBatchReader:
        """The result as Arrow: known types by the cursor's word, the others as the first batch shows them."""
        names, types = list(result.keys()), self.types(result)
        partitions = result.partitions(BATCH_ROWS)
        first = _arrays(next(partitions, []), names, types)
        schema = pa.schema([pa.field(name, array.type) for name, array in zip(names, first, strict=True)])

        def stream() -> Iterator[pa.RecordBatch]:
            yield pa.RecordBatch.from_arrays(first, schema=schema)
            for rows in partitions:
                yield pa.RecordBatch.from_arrays(_arrays(rows, names, schema.types), schema=schema)

        return pa.RecordBatchReader.from_batches(schema, stream())


def _first_line(error: sa.exc.DBAPIError) -> str:
    return str(error.orig).strip().partition("\n")[0]


def _arrays(rows: Rows, names: Sequence[str], types: Sequence[pa.DataType | None]) -> list["pa.Array[Any]"]:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(types)
    return [_array(*each) for each in zip(columns, names, types, strict=True)]


def _array(values: Sequence[Any], name: str, wanted: pa.DataType | None) -> "pa.Array[Any]":
    """One column of a batch. Instants are brought to UTC here: pyarrow itself reads an environment variable, which
    pandera sets, that lets it take the wall clock of any zone for that of UTC."""
    if any(isinstance(value, datetime) and value.tzinfo is not None for value in values):
        values = [value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value for value in values]
        wanted = wanted or pa.timestamp("us", tz="UTC")
    try:
        return pa.array(values, type=wanted)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise WarehouseError(
            f"column {name!r}",
            expected=f"values of one type ({wanted})" if wanted else "values of one type",
            found=str(error),
            todo=f"Cast {name!r} in the query.",
        ) from None
