"""The rows that are new or changed since a snapshot, and how many of them replace one of its rows."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from penstock.rows.key_places import Ahead, Places, compare, places
from penstock.snapshots.snapshot import Snapshot


class ChangedRows:
    """Rows with one schema and the key order of a snapshot without a base, less those that it has to the bit.

    Reads the snapshot's key and `watermark`, and whole rows only where both are equal: constant memory, one pass.
    """

    def __init__(self, base: Snapshot, rows: Iterable[pa.RecordBatch], watermark: str) -> None:
        self._base = base
        self._rows = rows
        self._watermark = watermark
        self.replaced = 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        key = self._base.key
        ahead = Ahead(self._rows, key)
        for group, whole in self._base.row_groups(list(dict.fromkeys((*key, self._watermark)))):
            if not group.num_rows:
                continue
            for due in ahead.up_to(group.slice(group.num_rows - 1)):
                at = places(group, due, key, behind_equal=False)
                known = compare(group, at, due, key)[1]
                same = known & _equal(group.column(self._watermark).take(pa.array(at)), due.column(self._watermark))
                if same.any():
                    same[same] = _equal_rows(whole(), at[same], due.filter(pa.array(same)))
                self.replaced += int(np.count_nonzero(known & ~same))
                yield due if not same.any() else due.filter(pa.array(~same))
        yield from ahead.rest()


def _equal_rows(group: pa.RecordBatch, at: Places, rows: pa.RecordBatch) -> npt.NDArray[np.bool_]:
    there = group.take(pa.array(at))
    equal = np.ones(rows.num_rows, dtype=bool)
    for ours, theirs in zip(there.columns, rows.columns, strict=True):
        equal &= _equal(ours, theirs)
    return equal


def _equal(left: "pa.Array", right: "pa.Array") -> npt.NDArray[np.bool_]:
    """Bit by bit; null is equal to null."""
    if pa.types.is_floating(left.type):
        whole = {2: pa.int16(), 4: pa.int32(), 8: pa.int64()}[left.type.byte_width]
        left, right = left.view(whole), right.view(whole)
    both_null = pc.and_(left.is_null(), right.is_null())
    equal = pc.or_(pc.equal(left, right).fill_null(False), both_null)
    return np.asarray(equal.to_numpy(zero_copy_only=False), dtype=bool)
