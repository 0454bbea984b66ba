"""The snapshot store: content decides the id, what is refused leaves nothing, half a snapshot is never seen."""

import datetime as dt
import subprocess
import sys
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest
from hypothesis import given, settings

from penstock.errors import PenstockError
from penstock.rows.conform import ColumnValueError, RowKeyError
from penstock.rows.types import ColumnTypeError
from penstock.snapshots.proof import Proof, check_file
from penstock.snapshots.store import Recipe, SnapshotError, SnapshotStore
from tests.engine.publishing import NOON, numbered, typed_tables, write


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(str(tmp_path / "snapshots"))


def files(store: SnapshotStore) -> list[Path]:
    return sorted(path for path in Path(store.url).rglob("*") if path.is_file())


def test_rows_come_back_as_they_were_written(store: SnapshotStore) -> None:
    table = numbered(1000)
    snapshot = write(store, table)
    assert snapshot.batches().read_all().equals(table)
    assert (snapshot.rows, snapshot.name, snapshot.key, snapshot.as_of) == (1000, "numbers", ("key",), NOON)


def test_a_snapshot_is_found_by_its_id_and_as_the_latest_of_its_name(store: SnapshotStore) -> None:
    first, second = write(store, numbered(5)), write(store, numbered(6))
    assert store.open(first.id).rows == 5
    latest = store.latest("numbers")
    assert latest is not None
    assert latest.id == second.id
    assert store.latest("others") is None
    with pytest.raises(SnapshotError, match="found none"):
        store.open("0" * 64)


def test_the_id_does_not_depend_on_how_rows_arrive_in_batches(store: SnapshotStore) -> None:
    table = numbered(1000)
    pieces = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=7))
    assert write(store, table).id == store.write("numbers", pieces, Recipe("", ("key",)), as_of=NOON).id


@pytest.mark.parametrize(
    "other",
    [
        numbered(9),
        numbered(10, offset=1),
        numbered(10).rename_columns(["key", "part", "value", "words"]),
        numbered(10).set_column(1, "part", pa.array([i % 7 for i in range(10)], pa.int64())),
        numbered(10).select(["key", "part", "text", "value"]),
    ],
    ids=["a row", "a value", "a name", "a type", "the order of columns"],
)
def test_the_id_changes_with(store: SnapshotStore, other: pa.Table) -> None:
    assert write(store, other).id != write(store, numbered(10)).id


def test_equal_content_is_stored_once_and_known_as_of_the_later_time(store: SnapshotStore) -> None:
    later = NOON + dt.timedelta(hours=1)
    first, second = write(store, numbered(50)), write(store, numbered(50), as_of=later)
    assert first.id == second.id
    assert len([path for path in files(store) if path.suffix == ".parquet"]) == 1
    latest = store.latest("numbers")
    assert latest is not None
    assert latest.as_of == later


def test_a_table_without_rows_is_a_snapshot(store: SnapshotStore) -> None:
    snapshot = write(store, numbered(0))
    assert snapshot.rows == 0
    assert snapshot.batches().read_all().schema == numbered(0).schema


def test_any_fsspec_url_is_a_store() -> None:
    store = SnapshotStore("memory://snapshots")
    snapshot = write(store, numbered(100))
    assert SnapshotStore("memory://snapshots").open(snapshot.id).batches().read_all().equals(numbered(100))
    stored = fsspec.filesystem("memory").find("/snapshots")
    assert any(snapshot.id in path for path in stored)
    assert not [path for path in stored if "drafts" in path]


KEYS = {
    "the same key twice": pa.table({"key": [1, 2, 2]}),
    "a key lower than the one before it": pa.table({"key": [1, 3, 2]}),
    "null": pa.table({"key": [1, 2, None]}),
}


@pytest.mark.parametrize("found", KEYS)
def test_a_wrong_key_is_refused_by_table_and_key(store: SnapshotStore, found: str) -> None:
    with pytest.raises(RowKeyError, match=f"key=(2|None) of table 'numbers'.*found {found}"):
        write(store, KEYS[found])
    assert files(store) == []


def test_keys_are_compared_across_batches_and_by_all_their_columns(store: SnapshotStore) -> None:
    table = pa.table({"a": ["A", "A", "a", "é"], "b": [1, 2, 1, 0]})
    batches = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=1))
    assert store.write("t", batches, Recipe("", ("a", "b")), as_of=NOON).rows == 4
    backwards = table.take([0, 1, 3, 2])
    batches = pa.RecordBatchReader.from_batches(table.schema, backwards.to_batches(max_chunksize=1))
    with pytest.raises(RowKeyError, match="a=a, b=1"):
        store.write("t", batches, Recipe("", ("a", "b")), as_of=NOON)


VALUES = {
    "NUL": pa.array(["fine", "a\0b"]),
    "UTF-8": pa.array([b"fine", b"\xff"]).view(pa.string()),
    "int64": pa.array([1, 2**63], pa.uint64()),
    "year from 1 to 9999": pa.array([0, 2**31 - 1], pa.int32()).view(pa.date32()),
    "year of a time": pa.array([0, -(2**62)], pa.int64()).view(pa.timestamp("us")),
    "lose data": pa.array([0, 1], pa.int64()).view(pa.timestamp("ns")),
}


@pytest.mark.parametrize("said", VALUES)
def test_what_postgres_cannot_hold_is_refused_by_table_column_and_key(store: SnapshotStore, said: str) -> None:
    table = pa.table({"key": [10, 11], "bad": VALUES[said]})
    with pytest.raises(ColumnValueError, match="column 'bad' of table 'numbers' at key key=11") as refused:
        write(store, table)
    assert said.split(maxsplit=1)[0] in str(refused.value)
    assert files(store) == []


@pytest.mark.parametrize(
    "names",
    [["key", ""], ["key", "key"], ["key", "x" * 64], ["key", "a\0b"], ["key", "ctid"], ["key", *map(str, range(1600))]],
    ids=["empty", "twice", "too long", "NUL", "system column", "1601 columns"],
)
def test_names_that_postgres_cannot_have_are_refused(store: SnapshotStore, names: list[str]) -> None:
    with pytest.raises(ColumnTypeError, match="table 'numbers'"):
        write(store, pa.table([pa.array([1])] * len(names), names=names))


def test_a_type_that_has_no_column_in_postgres_is_refused_by_name(store: SnapshotStore) -> None:
    with pytest.raises(ColumnTypeError, match=r"column 'nested' of table 'numbers'.*list"):
        write(store, pa.table({"key": [1], "nested": [[1, 2]]}))


def test_rows_that_the_check_refuses_leave_nothing(store: SnapshotStore) -> None:
    def refuse(batch: pa.RecordBatch) -> None:
        raise PenstockError("shape", found=f"{batch.num_rows} rows")

    with pytest.raises(PenstockError, match="10 rows"):
        write(store, numbered(10), check=refuse)
    assert files(store) == []
    with pytest.raises(PenstockError, match="0 rows"):
        write(store, numbered(0), check=refuse)


def test_a_source_that_fails_midway_leaves_nothing(store: SnapshotStore) -> None:
    table = numbered(10)

    def failing() -> "object":
        yield table.to_batches()[0]
        raise OSError("the warehouse went away")

    with pytest.raises(OSError, match="went away"):
        store.write("t", pa.RecordBatchReader.from_batches(table.schema, failing()), Recipe("", ("key",)), as_of=NOON)
    assert files(store) == []
    assert store.latest("t") is None


def test_what_a_killed_writer_left_goes_with_the_next_write(store: SnapshotStore) -> None:
    script = f"""
import os, signal, pyarrow as pa, datetime as dt
from penstock.snapshots.store import Recipe, SnapshotStore
def dying():
    yield pa.record_batch({{"key": [1]}})
    os.kill(os.getpid(), signal.SIGKILL)
reader = pa.RecordBatchReader.from_batches(pa.schema([("key", pa.int64())]), dying())
SnapshotStore({store.url!r}).write("t", reader, Recipe("", ("key",)), as_of=dt.datetime.now(dt.UTC))
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    assert len(files(store)) == 1
    assert store.latest("t") is None
    write(store, numbered(3))
    assert not [path for path in files(store) if "drafts" in path.parts]


@settings(max_examples=40, deadline=None)
@given(table=typed_tables())
def test_every_type_is_stored_such_that_it_hashes_the_same_again(table: pa.Table) -> None:
    snapshot = write(SnapshotStore("memory://typed"), table, key=(table.schema.names[0],))
    assert Proof(snapshot).run().encoder.digest.stream == snapshot.manifest.stream_sha256
    assert check_file(snapshot)


def test_a_snapshot_keeps_its_recipe_and_a_skip_or_changes_keep_it_too(store: SnapshotStore) -> None:
    recipe = Recipe("SELECT 1", ("key",), "shape", "version 1")
    written = store.write("numbers", numbered(3).to_reader(), recipe, as_of=NOON)
    assert written.manifest.recipe == recipe
    assert store.open(written.id).manifest.recipe == recipe
    assert store.skip(written, NOON).manifest.recipe == recipe
    more = numbered(4).slice(3).to_batches()
    extended = store.write_changes(written, more, lambda rows: 3 + rows, recipe.at("version 2"), as_of=NOON)
    assert extended.manifest.recipe == recipe.at("version 2") != recipe
