"""Two streams of rows, each sorted by the same key: where the rows of one belong in the other."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Places = npt.NDArray[np.int64]


class Ahead:
    """The changes that are still to come."""

    def __init__(self, changes: Iterable[pa.RecordBatch], key: Sequence[str]) -> None:
        self._changes = iter(changes)
        self._key = key
        self._next: pa.RecordBatch | None = None

    def up_to(self, last: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Take the changes whose key is at most that of the one row `last`."""
        while (batch := self._peek()) is not None:
            count = int(places(batch, last, self._key, behind_equal=True)[0])
            self._next = batch.slice(count) if count < batch.num_rows else None
            if count:
                yield batch.slice(0, count)
            if self._next is not None:
                return

    def rest(self) -> Iterator[pa.RecordBatch]:
        """Take all that is left."""
        while (batch := self._peek()) is not None:
            self._next = None
            yield batch

    def _peek(self) -> pa.RecordBatch | None:
        while self._next is None or self._next.num_rows == 0:
            self._next = next(self._changes, None)
            if self._next is None:
                return None
        return self._next


def places(sought_in: pa.RecordBatch, rows: pa.RecordBatch, key: Sequence[str], *, behind_equal: bool) -> Places:
    """For each of `rows` the first row of the sorted `sought_in` that is not less, or with `behind_equal` the first
    that is greater; its length where there is none. Bisection, all rows at once."""
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
    """Whether the key of `left` at each of `places` is less than, and equal to, that of each row of `right`."""
    less = np.zeros(right.num_rows, dtype=bool)
    equal = np.ones(right.num_rows, dtype=bool)
    for name in key:
        a, b = _comparable(left.column(name).take(pa.array(places))), _comparable(right.column(name))
        less |= equal & pc.less(a, b).to_numpy(zero_copy_only=False)
        equal &= pc.equal(a, b).to_numpy(zero_copy_only=False)
    return less, equal


def _comparable(column: "pa.Array") -> "pa.Array":
    return column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column
