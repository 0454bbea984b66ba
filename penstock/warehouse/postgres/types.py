"""What the types of a Postgres query become, by the server's own word before the first row."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import psycopg
import pyarrow as pa
import pyarrow.compute as pc

from penstock.warehouse.interface import ColumnTypesError, ColumnValuesError, demand_names, quoted
from penstock.warehouse.query_text import subquery

# The type codes of a Postgres result (pg_type.oid) that Arrow has a fixed type for.
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
NUMERIC = 1700
MOST_DIGITS = 38
AS_TEXT = frozenset({1042, 18, 19, 2950})
"""char(n), "char", name and uuid: read and joined as the text that a request and a replicated table hold. The blanks
with which char(n) is padded are no part of it."""
_FIRST = {pa.date32(): -2_440_588, pa.timestamp("us"): -210_866_803_200_000_000}
"""4714-11-24 BC, the first day of Postgres' calendar. The driver returns an infinity, and an instant after the year
294246, as one before it."""


@dataclass(frozen=True)
class PostgresColumn:
    """A column of a query.

    - `type`: the Arrow type in which it is read.
    - `cast`: the SQL type that makes it one which books and requests have too, and which joins compare. Empty where it
      is so already.
    """

    TEXT: ClassVar[str] = "text"
    BYTES: ClassVar[str] = ' COLLATE "C"'
    """The type of a text of any length, and what makes a text sort by its bytes."""
    FOLDED: ClassVar[bool] = False
    """Whether a name is the same whatever its case, between double quotes too."""
    name: str
    type: pa.DataType
    cast: str = ""

    def read(self) -> str:
        """The column as it is sent: a decimal as text, which the driver reads three times faster than a numeric."""
        column = self.compared()
        return (
            f"{column}::{self.TEXT} AS {quoted(self.name)}" if pa.types.is_decimal(self.type) else self._named(column)
        )

    def joined(self) -> str:
        """The column as joins inside the warehouse see it: texts are equal where their bytes are."""
        return self._named(self.ordered())

    @property
    def natural(self) -> bool:
        """Whether `joined` is the column itself."""
        return self.ordered() == f"extract.{quoted(self.name)}"

    def compared(self) -> str:
        """The column as an expression, for ORDER BY too."""
        return f"extract.{quoted(self.name)}{f'::{self.cast}' if self.cast else ''}"

    def ordered(self) -> str:
        """The column in binary order, whatever collation the database sorts text by."""
        return self.compared() + (self.BYTES if pa.types.is_string(self.type) else "")

    def _named(self, expression: str) -> str:
        return f"{expression} AS {quoted(self.name)}"


Kinds = Mapping[int, tuple[str, bool]]
"""Type code -> its name, and whether it is read as text."""


def kinds(connection: psycopg.Connection[Any], oids: Iterable[int]) -> Kinds:
    """The types of some codes; enumerations and texts of extensions are read as text."""
    rows = connection.execute(
        "SELECT oid::bigint, format_type(oid, NULL), typtype = 'e' OR typcategory = 'S' FROM pg_type"
        " WHERE oid = ANY(%s::bigint[])",
        (list(oids),),
    )
    return {oid: (name, is_text or oid in AS_TEXT) for oid, name, is_text in rows}


def columns_of(
    connection: psycopg.Connection[Any],
    query: str,
    named: Callable[[psycopg.Connection[Any], Iterable[int]], Kinds] = kinds,
    column: type[PostgresColumn] = PostgresColumn,
) -> list[PostgresColumn]:
    """The columns of a query without parameters, each a `column`; `named` looks up the types that are not in TYPES.

    ColumnNamesError for names of two columns, which differ by case unless a column is `FOLDED`; ColumnTypesError names
    every one whose type nothing can hold.
    """
    described = connection.execute(f"SELECT * FROM (\n{subquery(query)}) AS extract LIMIT 0".encode()).pgresult
    assert described is not None
    found = [
        ((described.fname(place) or b"").decode(), described.ftype(place), described.fmod(place))
        for place in range(described.nfields)
    ]
    demand_names([name for name, _, _ in found], exact=not column.FOLDED)
    unknown = {oid for _, oid, _ in found} - TYPES.keys()
    known = named(connection, unknown) if unknown else {}
    columns, refused = [], {}
    for name, oid, modifier in found:
        kind, is_text = known.get(oid, ("", False))
        if oid in TYPES:
            columns.append(column(name, TYPES[oid]))
        elif oid == NUMERIC:
            columns.append(column(name, *_numeric(modifier)))
        elif is_text:
            columns.append(column(name, pa.string(), column.TEXT))
        else:
            refused[name] = kind
    if refused:
        raise ColumnTypesError(refused, [name for name, _, _ in found if name not in refused])
    return columns


def schema_of(columns: Iterable[PostgresColumn]) -> pa.Schema:
    """The Arrow schema in which the columns are read."""
    return pa.schema([pa.field(column.name, column.type) for column in columns])


def as_declared(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """A batch of the driver in the schema; ColumnValuesError for a value that no type of a book has."""
    return pa.RecordBatch.from_arrays(
        [_declared(array, field) for array, field in zip(batch.columns, schema, strict=True)], schema=schema
    )


def _declared(array: pa.Array, field: pa.Field) -> pa.Array:
    if pa.types.is_decimal(field.type):
        return _decimals(array, field)
    array = array.cast(field.type) if not array.type.equals(field.type) else array
    first = _FIRST.get(pa.timestamp("us") if pa.types.is_timestamp(field.type) else field.type)
    if first is not None:
        least = pc.min(array.view(pa.int32() if pa.types.is_date32(field.type) else pa.int64())).as_py()
        if least is not None and least < first:
            raise ColumnValuesError(
                field.name,
                expected="days and instants of a calendar, up to the year 294246",
                found="an infinity, or a later one",
                todo="Write it as a null, or as a column of its own, in the query.",
            )
    return array


def _decimals(array: pa.Array, field: pa.Field) -> pa.Array:
    try:
        return array.cast(field.type)
    except pa.ArrowInvalid:
        raise ColumnValuesError(
            field.name,
            expected=f"numbers of numeric({field.type.precision},{field.type.scale})",
            found="NaN",
            todo=f"Write nullif({field.name}, 'NaN') in the query, or cast it to double precision.",
        ) from None


def _numeric(modifier: int) -> tuple[pa.DataType, str]:
    """Type and cast of a numeric.

    - Declared digits are kept exactly.
    - Without them, or with more than Arrow's 38, it is a double: `sum` and `avg` of numerics have none, and digits
      differ from row to row.
    - The bits of a modifier: https://github.com/postgres/postgres/blob/REL_18_0/src/backend/utils/adt/numeric.c
    """
    precision, scale = (modifier - 4) >> 16 & 0xFFFF, (modifier - 4) & 0x7FF
    scale = (scale ^ 1024) - 1024
    if scale < 0:
        precision, scale = precision - scale, 0
    if modifier < 4 or max(precision, scale) > MOST_DIGITS:
        return pa.float64(), "double precision"
    return pa.decimal128(max(precision, scale), scale), ""
