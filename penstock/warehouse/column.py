"""A column of a query as its warehouse describes it, and rows in the types that were described."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from penstock.warehouse.interface import ColumnTypesError, ColumnValuesError, demand_names, quoted
from penstock.warehouse.query_text import subquery

MOST_DIGITS = 38
"""Those of Arrow's decimal128, and of a numeric that a book keeps exactly."""


@dataclass(frozen=True)
class Column:
    """A column of a query.

    - `type`: the Arrow type in which it is read.
    - `cast`: SQL with `{}` for the column, which makes it a type that books and requests have too, that joins compare
      and that is sorted by its bytes. Empty where it is so already.
    """

    name: str
    type: pa.DataType
    cast: str = ""

    def expression(self) -> str:
        """SQL of the column of the query `extract`."""
        column = f"extract.{quoted(self.name)}"
        return self.cast.format(column) if self.cast else column

    def selected(self) -> str:
        """The expression under the column's name."""
        return f"{self.expression()} AS {quoted(self.name)}"


def demand_columns(found: Iterable[tuple[str, str, Column | None]], *, exact_names: bool = False) -> list[Column]:
    """The columns of names, types and what holds them.

    ColumnNamesError for names of two columns, see `demand_names`; ColumnTypesError names every column that nothing can
    hold.
    """
    listed = list(found)
    demand_names([name for name, _, _ in listed], exact=exact_names)
    refused = {name: kind for name, kind, column in listed if column is None}
    if refused:
        raise ColumnTypesError(refused, [name for name, _, column in listed if column is not None])
    return [column for _, _, column in listed if column is not None]


def natural_query(query: str, columns: Sequence[Column]) -> str:
    """The query with each column as a type that requests and books have too; itself where it is so already."""
    return _selected(query, columns) if any(column.cast for column in columns) else query


def ordered_query(query: str, columns: Sequence[Column], key: Sequence[str]) -> str:
    """The query as it is read, in the order of the key."""
    named = {column.name: column for column in columns}
    order = ", ".join(named[name].expression() if name in named else f"extract.{quoted(name)}" for name in key)
    return _selected(query, columns) + (f" ORDER BY {order}" if order else "")


def _selected(query: str, columns: Sequence[Column]) -> str:
    return f"SELECT {', '.join(one.selected() for one in columns)} FROM (\n{subquery(query)}) AS extract"


def schema_of(columns: Iterable[Column]) -> pa.Schema:
    """The Arrow schema in which the columns are read."""
    return pa.schema([pa.field(column.name, column.type) for column in columns])


def as_described(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The batches of a driver in the schema that was described; ColumnValuesError where one does not fit it."""
    for batch in batches:
        arrays = [_fitting(array, field) for array, field in zip(batch.columns, schema, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _fitting(array: pa.Array, field: pa.Field) -> pa.Array:
    if array.type.equals(field.type) and not pa.types.is_string(field.type):
        return array
    try:
        if pa.types.is_string(array.type) and pa.types.is_string(field.type):  # a driver may call any bytes a text
            array = array.cast(pa.binary())
        return array.cast(field.type)
    except pa.ArrowException as error:
        raise ColumnValuesError(
            field.name,
            expected=f"values of the type {field.type}",
            found=str(error).partition("\n")[0],
            todo="Cast it in the query, bytes to a text of hexadecimal digits.",
        ) from None
