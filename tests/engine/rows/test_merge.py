"""Merging changes into sorted rows, against a dictionary that does the same."""

from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from penstock.rows.merge import merged

SCHEMA = pa.schema([("part", pa.string()), ("fine", pa.bool_()), ("number", pa.int64()), ("value", pa.int32())])
KEY = ("part", "fine", "number")
Content = dict[tuple[Any, ...], int | None]

keys = st.tuples(st.sampled_from(["", "a", "b", "é", "\U0001f600"]), st.booleans(), st.integers(-3, 3))
contents = st.dictionaries(keys, st.none() | st.integers(0, 99), max_size=40)


def batches(content: Content, cuts: list[int]) -> list[pa.RecordBatch]:
    """The content sorted by key, cut into batches of the given sizes in turn, some of them empty."""
    rows = [(*key, content[key]) for key in sorted(content, key=lambda key: (key[0].encode(), *key[1:]))]
    made, start = [], 0
    for size in [*cuts, len(rows)]:
        piece = rows[start : start + size]
        columns = [pa.array([row[i] for row in piece], field.type) for i, field in enumerate(SCHEMA)]
        made.append(pa.RecordBatch.from_arrays(columns, schema=SCHEMA))
        start += size
    return made


def content_of(rows: list[pa.RecordBatch]) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for batch in rows for row in batch.to_pylist()]


@given(old=contents, new=contents, cuts=st.lists(st.integers(0, 9), max_size=6), others=st.lists(st.integers(0, 9)))
def test_a_change_replaces_the_row_of_its_key_and_a_new_row_comes_between(
    old: Content, new: Content, cuts: list[int], others: list[int]
) -> None:
    found = content_of(list(merged(batches(old, cuts), batches(new, others), KEY)))
    assert found == content_of(batches(old | new, []))
