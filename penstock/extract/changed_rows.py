"""The rows that are new or changed since a snapshot, and how many of them replace one of its rows."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from penstock.declare.table import ReplicatedTable
from penstock.rows.conform import Conformer
from penstock.rows.merge import Places, UpcomingRows, compare, merged, places
from penstock.rows.types import stored_schema
from penstock.snapshots.snapshot import Snapshot


def changed_rows(last: Snapshot, found: pa.RecordBatchReader, table: ReplicatedTable) -> "ChangedRows | None":
    """All rows that are new or changed since the base of `last`; those just `found` are the newest of them.

    None where the columns or their types are no longer the same. Raises as SnapshotStore.write does for rows that
    cannot be stored.
    """
    schema = stored_schema(found.schema, table.name)
    if not schema.equals(last.schema):
        return None
    before = last.own.batches() if last.base is not None else ()
    newest = map(Conformer(schema, table.name, table.key).conform, found)
    return ChangedRows(last.base or last, merged(before, newest, table.key), table.watermark)


class ChangedRows:
    """A stream of rows without those that a snapshot has with the same bits.

    - The rows have the schema and key order of the snapshot, which has no base.
    - Of the snapshot, the key and the `watermark` are read, and whole rows only where both are equal.
    - One pass, in constant memory. `replaced` counts the rows whose key the snapshot has, with other values.
    """

    def __init__(self, base: Snapshot, rows: Iterable[pa.RecordBatch], watermark: str) -> None:
        self._base = base
        self._rows = rows
        self._watermark = watermark
        self.replaced = 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        key = self._base.key
        upcoming = UpcomingRows(self._rows, key)
        for group, whole in self._base.row_groups(list(dict.fromkeys((*key, self._watermark)))):
            if not group.num_rows:
                continue
            for due in upcoming.up_to(group.slice(group.num_rows - 1)):
                at = places(group, due, key, behind_equal=False)
                known = compare(group, at, due, key)[1]
                same = known & _equal(group.column(self._watermark).take(pa.array(at)), due.column(self._watermark))
                if same.any():
                    same[same] = _equal_rows(whole(), at[same], due.filter(pa.array(same)))
                self.replaced += int(np.count_nonzero(known & ~same))
                yield due if not same.any() else due.filter(pa.array(~same))
        yield from upcoming.rest()


def _equal_rows(group: pa.RecordBatch, at: Places, rows: pa.RecordBatch) -> npt.NDArray[np.bool_]:
    there = group.take(pa.array(at))
    equal = np.ones(rows.num_rows, dtype=bool)
    for ours, theirs in zip(there.columns, rows.columns, strict=True):
        equal &= _equal(ours, theirs)
    return equal


def _equal(left: "pa.Array", right: "pa.Array") -> npt.NDArray[np.bool_]:
    """Whether the values have equal bits; null is equal to null."""
    if pa.types.is_floating(left.type):
        whole = {2: pa.int16(), 4: pa.int32(), 8: pa.int64()}[left.type.byte_width]
        left, right = left.view(whole), right.view(whole)
    both_null = pc.and_(left.is_null(), right.is_null())
    equal = pc.or_(pc.equal(left, right).fill_null(False), both_null)
    return np.asarray(equal.to_numpy(zero_copy_only=False), dtype=bool)
