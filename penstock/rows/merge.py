"""Two streams of rows, each sorted by the same key, as one: a change replaces the row of its key or comes between."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial, reduce

import numpy as np
import pyarrow as pa

from penstock.rows.key_places import Ahead, compare, places


def merged(
    rows: Iterable[pa.RecordBatch], changes: Iterable[pa.RecordBatch], key: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """`rows` with `changes` merged in. Both have one schema and ascend by `key` without repeats; memory holds a batch
    of rows, the changes that fall into it, and one batch of changes."""
    ahead = Ahead(changes, key)
    for batch in rows:
        if batch.num_rows:
            yield reduce(partial(_with, key=key), ahead.up_to(batch.slice(batch.num_rows - 1)), batch)
    yield from ahead.rest()


def _with(batch: pa.RecordBatch, due: pa.RecordBatch, key: Sequence[str]) -> pa.RecordBatch:
    """`batch` with the changes `due`, none of which lies behind its last row."""
    at = places(batch, due, key, behind_equal=False)
    known = compare(batch, at, due, key)[1]
    numbers = np.arange(batch.num_rows, batch.num_rows + due.num_rows)
    order = np.arange(batch.num_rows)
    order[at[known]] = numbers[known]
    order = np.insert(order, at[~known], numbers[~known])
    taken = pa.array(order)
    columns = [pa.concat_arrays([old, new]).take(taken) for old, new in zip(batch.columns, due.columns, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)
