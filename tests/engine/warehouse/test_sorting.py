"""Rows that are sorted outside the warehouse make the snapshot that those sorted inside make."""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from threading import Event, Timer

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.rows.types import STORED
from penstock.snapshots.store import SnapshotStore
from penstock.warehouse import sorting
from penstock.warehouse.interface import WarehouseError
from penstock.warehouse.sorting import sorted_rows
from tests.checkout import ROOT
from tests.engine.publishing import numbered, write


def sorted_table(table: pa.Table, *key: str) -> pa.Table:
    with sorted_rows(table.to_reader(7), key) as ordered:
        return ordered.read_all()


def test_shuffled_rows_make_the_same_snapshot(tmp_path: Path) -> None:
    table = numbered(5_000)
    order = list(range(table.num_rows))
    random.Random(1).shuffle(order)
    store = SnapshotStore(str(tmp_path))
    assert write(store, sorted_table(table.take(order), "key")).id == write(store, table).id


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(
        st.tuples(
            st.booleans(), st.sampled_from(["", "a", "B", "é", "\U0001f600", "aa", "\uffff"]), st.binary(max_size=2)
        ),
        min_size=1,
        max_size=200,
    ),
    size=st.integers(1, 4_000),
)
def test_rows_come_in_the_order_of_the_bytes_of_their_keys(rows: list[tuple[bool, str, bytes]], size: int) -> None:
    table = pa.table({name: [row[place] for row in rows] for place, name in enumerate("abc")})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sorting, "RUN_BYTES", size)
        patched.setattr(sorting, "_PIECE_BYTES", size // 7)
        patched.setattr(sorting, "_MERGE_BYTES", size)
        found = [tuple(row.values()) for row in sorted_table(table, "a", "b", "c").to_pylist()]
    assert found == sorted(rows, key=lambda row: (row[0], row[1].encode(), row[2]))


def test_a_null_in_the_key_is_refused() -> None:
    with pytest.raises(WarehouseError, match=r"key b, a: expected a value in every row, found 1 nulls in 'a'\."):
        sorted_table(pa.table({"a": [1, None], "b": ["x", "y"]}), "b", "a")


def test_every_type_comes_back_as_it_went_in() -> None:
    kinds = [kind for kind, _ in STORED] + [pa.decimal128(38, 9)]
    schema = pa.schema([(f"c{place}", kind) for place, kind in enumerate(kinds)])
    number = "12345678901234567890123456789.123456789"
    instant = datetime(9999, 12, 31, 23, 59, 59, 999999)
    full: list[object] = [True, -3, 7, 2, 0.1, -0.0, "é", b"\x00\xff", date(2026, 1, 2), 86_399_999_999, -1, instant]
    columns = [pa.array([None, value]) for value in [*full, number]]
    columns[3] = pa.array([5, 2])
    arrays = [column.cast(kind) for column, kind in zip(columns, kinds, strict=True)]
    table = pa.Table.from_arrays(arrays, schema=schema)
    found = sorted_table(table, "c3")
    assert found.schema.equals(schema)
    assert found.take([1, 0]).equals(table)
    assert str(found["c5"][0]) == "-0.0"


def test_what_reading_raises_is_raised() -> None:
    def rows() -> Iterator[pa.RecordBatch]:
        yield from numbered(10).to_batches()
        raise WarehouseError("query", found="gone")

    table = numbered(10)
    with (
        pytest.raises(WarehouseError, match="query: found gone"),
        sorted_rows(pa.RecordBatchReader.from_batches(table.schema, rows()), ("key",)) as ordered,
    ):
        ordered.read_all()


@pytest.mark.slow
def test_it_ends_when_it_is_told_and_after_its_time() -> None:
    def rows() -> Iterator[pa.RecordBatch]:
        while True:
            time.sleep(0.01)
            yield from numbered(1_000).to_batches()

    ended = Event()
    Timer(0.5, ended.set).start()
    for options, said in (({"ended": ended}, "cancelled"), ({"timeout": 0.5}, "to end within 0.5 s")):
        began = time.monotonic()
        source = pa.RecordBatchReader.from_batches(numbered(1).schema, rows())
        with pytest.raises(WarehouseError, match=said), sorted_rows(source, ("key",), **options) as ordered:  # type: ignore[arg-type]
            ordered.read_all()
        assert time.monotonic() - began < 10


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "benchmarks.extract.sort", "--rows", "4000000"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert "memory" in found.stdout
    assert "MISSED" not in found.stdout
