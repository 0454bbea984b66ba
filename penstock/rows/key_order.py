"""Proof, while rows stream by, that they are sorted by a key without nulls and without repeats."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import PenstockError


class KeyRefused(PenstockError):
    """Rows whose declared key is missing, null, repeated, or not in ascending order."""


class KeyOrder:
    """Watches one stream of batches; holds no more than the last row's key."""

    def __init__(self, schema: pa.Schema, table: str, key: tuple[str, ...]) -> None:
        self._table = table
        self._key = key
        self._last: list[pa.Array] | None = None
        if not key or len(set(key)) != len(key):
            raise KeyRefused(f"key of table {table!r}", expected="one or more different columns", found=repr(key))
        for name in key:
            if name not in schema.names:
                raise KeyRefused(
                    f"key of table {table!r}",
                    expected=f"a column among {', '.join(schema.names)}",
                    found=repr(name),
                    todo="Select the column in the query or correct the key.",
                )
            if pa.types.is_floating(schema.field(name).type):
                raise KeyRefused(
                    f"key column {name!r} of table {table!r}",
                    expected="a type with exact equality",
                    found=str(schema.field(name).type),
                    todo="Cast it in the query to a whole number, decimal or text.",
                )

    def check(self, batch: pa.RecordBatch) -> None:
        """Accept the next batch; KeyRefused naming table and first offending key."""
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
            raise KeyRefused(
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
            raise KeyRefused(
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
