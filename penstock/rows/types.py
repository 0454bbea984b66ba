"""Which Postgres type holds which Arrow type, bit for bit."""

from collections.abc import Callable

import msgspec
import pyarrow as pa

from penstock.errors import PenstockError

MOST_COLUMNS = 1600
"""https://www.postgresql.org/docs/current/limits.html"""
LONGEST_NAME = 63
SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})

STORED: tuple[tuple[pa.DataType, str], ...] = (
    (pa.bool_(), "boolean"),
    (pa.int16(), "smallint"),
    (pa.int32(), "integer"),
    (pa.int64(), "bigint"),
    (pa.float32(), "real"),
    (pa.float64(), "double precision"),
    (pa.string(), "text"),
    (pa.binary(), "bytea"),
    (pa.date32(), "date"),
    (pa.time64("us"), "time without time zone"),
    (pa.timestamp("us"), "timestamp without time zone"),
    (pa.timestamp("us", "UTC"), "timestamp with time zone"),
)
_WIDENED = {
    pa.int8(): pa.int16(),
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.int64(),
    pa.float16(): pa.float32(),
    pa.null(): pa.string(),
    pa.date64(): pa.date32(),
}
_FAMILIES: tuple[tuple[Callable[[pa.DataType], bool], pa.DataType], ...] = (
    (pa.types.is_large_string, pa.string()),
    (pa.types.is_string_view, pa.string()),
    (pa.types.is_large_binary, pa.binary()),
    (pa.types.is_binary_view, pa.binary()),
    (pa.types.is_fixed_size_binary, pa.binary()),
    (pa.types.is_time, pa.time64("us")),
)


class ColumnTypeError(PenstockError):
    """A column whose name or type a replicated table cannot have."""


def stored_schema(schema: pa.Schema, table: str, *, for_book: bool = True) -> pa.Schema:
    """The schema in which a snapshot stores `schema`: each type is one that Postgres holds without loss.

    ColumnTypeError naming table and column where the type, or `for_book` the name or the number of columns, cannot be
    held. A training set comes into no book: its names may be longer, and its columns more.
    """
    if for_book and not 1 <= len(schema) <= MOST_COLUMNS:
        raise ColumnTypeError(
            f"table {table!r}",
            expected=f"1 to {MOST_COLUMNS} columns",
            found=str(len(schema)),
            todo="Select fewer columns.",
        )
    seen: set[str] = set()
    for name in schema.names:
        unfit = len(name.encode()) > LONGEST_NAME or name in SYSTEM_COLUMNS
        if not name or "\0" in name or (for_book and unfit) or name in seen:
            raise ColumnTypeError(
                f"a column name of table {table!r}",
                expected=f"a name of 1 to {LONGEST_NAME} bytes, used once, that is no Postgres system column",
                found=repr(name),
                todo="Rename the column in the query.",
            )
        seen.add(name)
    return pa.schema([pa.field(field.name, _stored_type(field, table)) for field in schema])


def postgres_type(stored: pa.DataType) -> str:
    """The Postgres type of a stored Arrow type, spelled as `format_type` spells it."""
    for arrow, postgres in STORED:
        if arrow.equals(stored):
            return postgres
    return f"numeric({stored.precision},{stored.scale})"


def postgres_columns(schema: pa.Schema) -> tuple[tuple[str, str], ...]:
    """(name, Postgres type) of every column of a stored schema, in order."""
    return tuple((field.name, postgres_type(field.type)) for field in schema)


def schema_text(columns: tuple[tuple[str, str], ...], key: tuple[str, ...]) -> bytes:
    """Columns, types and key as bytes, which are hashed into a snapshot's id."""
    return msgspec.json.encode({"columns": columns, "key": key}, order="deterministic")


class _SchemaText(msgspec.Struct):
    columns: tuple[tuple[str, str], ...]
    key: tuple[str, ...]


def described(text: bytes) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """The columns and the key that `schema_text` encoded."""
    found = msgspec.json.decode(text, type=_SchemaText)
    return found.columns, found.key


def _stored_type(field: pa.Field, table: str) -> pa.DataType:
    kind = field.type
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if kind in _WIDENED:
        return _WIDENED[kind]
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", "UTC") if kind.tz else pa.timestamp("us")
    if pa.types.is_decimal(kind) and kind.precision <= 38:
        return pa.decimal128(kind.precision, kind.scale)
    for belongs, stored in _FAMILIES:
        if belongs(kind):
            return stored
    if any(arrow.equals(kind) for arrow, _ in STORED):
        return kind
    raise ColumnTypeError(
        f"column {field.name!r} of table {table!r}",
        expected="a number, decimal of up to 38 digits, boolean, text, bytes, date, time or timestamp",
        found=str(field.type),
        todo=f"Cast {field.name!r} in the query, for instance to text.",
    )
