"""Merging two streams of rows that are sorted by the same key."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial, reduce

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Places = npt.NDArray[np.int64]


def merged(
    rows: Iterable[pa.RecordBatch], changes: Iterable[pa.RecordBatch], key: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """`rows` with `changes` merged in: a change replaces the row of its key, or comes between the rows.

    Both streams have the same schema and ascend by `key` without repeats. Memory holds one batch of rows, the changes
    that fall into it, and one batch of changes.
    """
    upcoming = UpcomingRows(changes, key)
    for batch in rows:
        if batch.num_rows:
            yield reduce(partial(_with, key=key), upcoming.up_to(batch.slice(batch.num_rows - 1)), batch)
    yield from upcoming.rest()


class UpcomingRows:
    """A sorted stream of rows that is read only as far as a caller asks."""

    def __init__(self, batches: Iterable[pa.RecordBatch], key: Sequence[str]) -> None:
        self._batches = iter(batches)
        self._key = key
        self._next: pa.RecordBatch | None = None

    def up_to(self, last: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Read the rows whose key is at most the key of the one row `last`."""
        while (batch := self._peek()) is not None:
            count = int(places(batch, last, self._key, behind_equal=True)[0])
            self._next = batch.slice(count) if count < batch.num_rows else None
            if count:
                yield batch.slice(0, count)
            if self._next is not None:
                return

    def rest(self) -> Iterator[pa.RecordBatch]:
        """Read all rows that are left."""
        while (batch := self._peek()) is not None:
            self._next = None
            yield batch

    def _peek(self) -> pa.RecordBatch | None:
        while self._next is None or self._next.num_rows == 0:
            self._next = next(self._batches, None)
            if self._next is None:
                return None
        return self._next


def places(sought_in: pa.RecordBatch, rows: pa.RecordBatch, key: Sequence[str], *, behind_equal: bool) -> Places:
    """For each row of `rows`, the index in the sorted `sought_in` before which it belongs.

    - It is the first row of `sought_in` that is not less; with `behind_equal`, the first row that is greater.
    - It is the length of `sought_in` where there is no such row.
    - All rows are searched at once, by bisection.
    """
    low = np.zeros(rows.num_rows, dtype=np.int64)
    high = np.full(rows.num_rows, sought_in.num_rows, dtype=np.int64)
    while (open_ := low < high).any():
        middle = (low + high) // 2
        less, equal = compare(sought_in, np.minimum(middle, sought_in.num_rows - 1), rows, key)
        before = less | equal if behind_equal else less
        low, high = np.where(open_ & before, middle + 1, low), np.where(open_ & ~before, middle, high)
    return low


def compare(
    left: pa.RecordBatch, places: Places, right: pa.RecordBatch, key: Sequence[str]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Two boolean arrays: whether each key of `left` (at `places`) is less than the key of `right`, and equal to it."""
    less = np.zeros(right.num_rows, dtype=bool)
    equal = np.ones(right.num_rows, dtype=bool)
    for name in key:
        a, b = _comparable(left.column(name).take(pa.array(places))), _comparable(right.column(name))
        less |= equal & pc.less(a, b).to_numpy(zero_copy_only=False)
        equal &= pc.equal(a, b).to_numpy(zero_copy_only=False)
    return less, equal


def _with(batch: pa.RecordBatch, due: pa.RecordBatch, key: Sequence[str]) -> pa.RecordBatch:
    """`batch` with the changes `due` merged in; no change has a key above that of the batch's last row."""
    at = places(batch, due, key, behind_equal=False)
    known = compare(batch, at, due, key)[1]
    numbers = np.arange(batch.num_rows, batch.num_rows + due.num_rows)
    order = np.arange(batch.num_rows)
    order[at[known]] = numbers[known]
    order = np.insert(order, at[~known], numbers[~known])
    taken = pa.array(order)
    columns = [pa.concat_arrays([old, new]).take(taken) for old, new in zip(batch.columns, due.columns, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _comparable(column: "pa.Array") -> "pa.Array":
    return column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column
