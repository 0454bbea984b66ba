"""What a replicated table accepts: values that Postgres can hold, sorted by a key without nulls and without repeats."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import PenstockError

_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
"""0001-01-01 and 9999-12-31 in days since 1970: what Python and JSON can hold too, so that every reader can."""
_FIRST_INSTANT, _LAST_INSTANT = _FIRST_DAY * 86_400_000_000, (_LAST_DAY + 1) * 86_400_000_000 - 1
"""The same in microseconds. What databases call infinity lies outside."""
_END_OF_DAY = 86_400_000_000


class ColumnValueError(PenstockError):
    """A value that Postgres cannot hold as it is."""


class RowKeyError(PenstockError):
    """Rows whose declared key is missing, null, repeated, or not in ascending order."""


class Conformer:
    """Checks and casts the batches of one stream of rows. It holds no more than the last row's key."""

    def __init__(self, schema: pa.Schema, table: str, key: tuple[str, ...]) -> None:
        self._schema = schema
        self._table = table
        self._key = key
        self._last: list[pa.Array] | None = None
        if not key or len(set(key)) != len(key):
            raise RowKeyError(f"key of table {table!r}", expected="one or more different columns", found=repr(key))
        for name in key:
            if name not in schema.names:
                raise RowKeyError(
                    f"key of table {table!r}",
                    expected=f"a column among {', '.join(schema.names)}",
                    found=repr(name),
                    todo="Select the column in the query or correct the key.",
                )
            if pa.types.is_floating(schema.field(name).type):
                raise RowKeyError(
                    f"key column {name!r} of table {table!r}",
                    expected="a type with exact equality",
                    found=str(schema.field(name).type),
                    todo="Cast it in the query to a whole number, decimal or text.",
                )

    def conform(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The next batch of the stream, cast to the stored schema.

        ColumnValueError or RowKeyError naming the table and the first offending key.
        """
        conformed = conform(batch, self._schema, self._table, self._key)
        self._check_order(conformed)
        return conformed

    def _check_order(self, batch: pa.RecordBatch) -> None:
        if batch.num_rows == 0:
            return
        keys = [self._comparable(batch, name) for name in self._key]
        before = self._last or [column.slice(0, 0) for column in keys]
        less = np.zeros(batch.num_rows - (self._last is None), dtype=bool)
        equal = np.ones_like(less)
        for column, last in zip(keys, before, strict=True):
            joined = pa.concat_arrays([last, column])
            earlier, later = joined.slice(0, len(joined) - 1), joined.slice(1)
            less |= equal & pc.less(earlier, later).to_numpy(zero_copy_only=False)
            equal &= pc.equal(earlier, later).to_numpy(zero_copy_only=False)
        wrong = np.flatnonzero(~less)
        if wrong.size:
            row = int(wrong[0]) + (self._last is None)
            raise RowKeyError(
                f"key {self._named(batch, row)} of table {self._table!r}",
                expected=f"unique keys, ascending by {', '.join(self._key)} in binary order",
                found="the same key twice" if equal[wrong[0]] else "a key lower than the one before it",
                todo=self._todo(repeated=bool(equal[wrong[0]])),
            )
        self._last = [column.slice(batch.num_rows - 1) for column in keys]

    def _comparable(self, batch: pa.RecordBatch, name: str) -> pa.Array:
        column = batch.column(name)
        if column.null_count:
            row = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
            raise RowKeyError(
                f"key {self._named(batch, row)} of table {self._table!r}",
                expected=f"a value in {name!r}",
                found="null",
                todo="Leave such rows out in the query, or choose another key.",
            )
        return column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column

    def _named(self, batch: pa.RecordBatch, row: int) -> str:
        return ", ".join(f"{name}={batch.column(name)[row]}" for name in self._key)

    def _todo(self, *, repeated: bool) -> str:
        if repeated:
            return "Group the query by the key, or widen the key."
        return f"Read the rows ORDER BY {', '.join(self._key)}, text in binary collation."


def conform(batch: pa.RecordBatch, schema: pa.Schema, table: str, key: tuple[str, ...]) -> pa.RecordBatch:
    """`batch` cast to the stored `schema`; ColumnValueError naming table, column and the first offending key."""
    columns = []
    for field, array in zip(schema, batch.columns, strict=True):

        def refuse(row: int, expected: str, found: str, name: str = field.name) -> ColumnValueError:
            where = ", ".join(f"{part}={batch.column(part)[row]}" for part in key)
            return ColumnValueError(
                f"column {name!r} of table {table!r} at key {where}",
                expected=expected,
                found=found,
                todo="Cast or clean the column in the query.",
            )

        columns.append(_conformed(array, field.type, refuse))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _conformed(array: pa.Array, kind: pa.DataType, refuse: Callable[[int, str, str], ColumnValueError]) -> pa.Array:
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if not array.type.equals(kind):
        try:
            array = array.cast(kind)
        except pa.ArrowInvalid as error:
            row = _first(array, lambda part: _casts(part, kind))
            raise refuse(row, f"a value that fits {kind}", str(error)) from None
    if pa.types.is_string(kind):
        _check_text(array, refuse)
    elif pa.types.is_floating(kind):
        array = _one_nan(array)
    elif pa.types.is_decimal(kind) and not _is_valid(array):
        raise refuse(_first(array, _is_valid), f"a number of at most {kind.precision} digits", "one with more")
    elif pa.types.is_date32(kind):
        _check_range(array, pa.int32(), _FIRST_DAY, _LAST_DAY, refuse)
    elif pa.types.is_timestamp(kind):
        _check_range(array, pa.int64(), _FIRST_INSTANT, _LAST_INSTANT, refuse)
    elif pa.types.is_time64(kind):
        _check_range(array, pa.int64(), 0, _END_OF_DAY, refuse)
    return array


def _one_nan(array: pa.Array) -> pa.Array:
    """NaN with the bits of a literal: arithmetic makes others, by the processor and the kind of warehouse."""
    nan = pc.is_nan(array)
    return pc.if_else(nan, pa.scalar(float("nan"), array.type), array) if pc.any(nan).as_py() else array


def _check_range(
    array: pa.Array,
    integer: pa.DataType,
    lowest: int,
    highest: int,
    refuse: Callable[[int, str, str], ColumnValueError],
) -> None:
    values = array.view(integer)
    bounds = pc.min_max(values)
    if bounds["min"].is_valid and not lowest <= bounds["min"].as_py() <= bounds["max"].as_py() <= highest:
        outside = pc.or_kleene(pc.less(values, lowest), pc.greater(values, highest))
        row = int(np.flatnonzero(outside.fill_null(False).to_numpy(zero_copy_only=False))[0])
        expected = "a time within a day" if pa.types.is_time(array.type) else "a year from 1 to 9999"
        raise refuse(row, expected, f"{values[row]} {array.type} since 1970")


def _check_text(array: pa.Array, refuse: Callable[[int, str, str], ColumnValueError]) -> None:
    data = array.buffers()[2]
    if data is None or len(array) == 0:
        return
    if not _is_valid(array):
        row = _first(array, _is_valid)
        raise refuse(row, "text in UTF-8", repr(array.cast(pa.binary())[row].as_py()[:80]))
    offsets = np.frombuffer(array.buffers()[1], dtype=np.int32)[array.offset : array.offset + len(array) + 1]
    used = np.frombuffer(data, dtype=np.uint8)[offsets[0] : offsets[-1]]
    if np.count_nonzero(used) < used.size:
        holds_nul = pc.greater_equal(pc.find_substring(array, "\0"), 0).fill_null(False)
        rows = np.flatnonzero(holds_nul.to_numpy(zero_copy_only=False))
        if rows.size:
            raise refuse(int(rows[0]), "text without the character NUL", repr(array[int(rows[0])].as_py()[:80]))


def _first(array: pa.Array, holds: Callable[[pa.Array], bool]) -> int:
    """The row of the first value for which `holds` is false, found by bisection."""
    low, high = 0, len(array) - 1
    while low < high:
        middle = (low + high) // 2
        if holds(array.slice(0, middle + 1)):
            low = middle + 1
        else:
            high = middle
    return low


def _casts(array: pa.Array, kind: pa.DataType) -> bool:
    try:
        array.cast(kind)
    except pa.ArrowInvalid:
        return False
    return True


def _is_valid(array: pa.Array) -> bool:
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
