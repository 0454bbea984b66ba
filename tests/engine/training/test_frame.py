from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from penstock.contract.contract import Output
from penstock.snapshots.store import Recipe, Snapshot, SnapshotStore
from penstock.training.frame import read_rows, training_rows
from penstock.training.outcomes import OutcomeError
from penstock.training.sample import Sample, key_digests, sample_of
from tests.engine.training.tanks import CONTRACT, rows_of, settings_in, tank_model

MODEL = replace(tank_model(lambda: None), base_rate_by=lambda columns: columns["site"].astype(str))


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    return rows_of(settings_in(tmp_path), "2026-01", rows=40_000)


def test_rows_read_batch_by_batch_are_those_of_the_whole_table(snapshot: Snapshot) -> None:
    streamed, whole = read_rows(MODEL, snapshot), training_rows(MODEL, snapshot.batches().read_all())

    assert streamed.outcome.tobytes() == whole.outcome.tobytes()
    assert list(streamed.vectors) == list(whole.vectors) == ["inflow", "level", "site"]
    assert streamed.vectors["level"].tobytes() == whole.vectors["level"].tobytes()
    assert np.array_equal(streamed.vectors["site"], whole.vectors["site"])
    assert streamed.group is not None
    assert streamed.slices is not None
    assert np.array_equal(streamed.group, streamed.slices)


def test_equal_texts_are_held_once_however_many_rows_have_them(snapshot: Snapshot) -> None:
    texts = read_rows(MODEL, snapshot).vectors["site"]

    assert len({id(text) for text in texts}) < 20


def test_a_sample_has_as_many_rows_as_wanted_spread_over_the_snapshot(snapshot: Snapshot) -> None:
    sample = sample_of(snapshot, 5_000)
    rows = read_rows(MODEL, snapshot, sample)
    whole = read_rows(MODEL, snapshot)

    assert len(rows.outcome) == 5_000
    assert abs(rows.outcome.mean() - whole.outcome.mean()) < 0.03
    assert sample_of(snapshot, 40_000) is None


def test_which_rows_are_sampled_depends_on_their_key_alone(snapshot: Snapshot, tmp_path: Path) -> None:
    other = rows_of(settings_in(tmp_path / "other"), "2026-01", rows=40_000, seed=9)

    assert sample_of(snapshot, 700) == sample_of(other, 700) == sample_of(snapshot, 700)


def test_a_larger_sample_holds_the_smaller_one(snapshot: Snapshot) -> None:
    batch = next(iter(snapshot.batches(40_000)))
    small, large = (sample_of(snapshot, count) for count in (100, 1_000))
    assert small is not None
    assert large is not None

    assert np.all(large.holds(batch)[small.holds(batch)])


def test_the_digest_of_a_key_is_the_same_whatever_the_batch_and_never_changes() -> None:
    keys = pa.record_batch(
        {
            "text": ["a", "b", "a", "ä"],
            "number": pa.array([1, 2, 3, -4], pa.int32()),
            "at": pa.array([0, 1, 2, 3], pa.timestamp("us", "UTC")),
            "day": pa.array([0, 1, 2, 3], pa.date32()),
        }
    )
    names = tuple(keys.schema.names)
    whole = key_digests(keys, names)

    assert [int(key_digests(keys.slice(at, 1), names)[0]) for at in range(4)] == whole.tolist()
    assert len(set(whole.tolist())) == 4
    assert whole[0] == np.uint64(0xB8D14490C5FCFD88)


def test_a_sample_of_rows_that_are_not_there_is_empty(snapshot: Snapshot) -> None:
    assert len(read_rows(MODEL, snapshot, Sample(("tank",), 0)).outcome) == 0


def with_text_outcome(store: SnapshotStore, words: list[str]) -> Snapshot:
    table = pa.table(
        {
            "tank": pa.array(range(len(words)), pa.int64()),
            "inflow": np.zeros(len(words)),
            "level": np.zeros(len(words)),
            "site": ["north"] * len(words),
            "asked_at": pa.array(range(len(words)), pa.timestamp("us", "UTC")),
            "overflows": words,
        }
    )
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches())
    as_of = datetime(2026, 1, 1, tzinfo=UTC)
    return store.write("overflow.text", reader, Recipe("", ("tank",)), as_of=as_of)


def test_an_outcome_in_text_is_the_place_of_its_class(tmp_path: Path) -> None:
    contract = msgspec.structs.replace(CONTRACT, output=Output("state", "classifier", ("low", "fine", "high")))
    model = replace(MODEL, contract=contract, gate=replace(MODEL.gate, metric="log_loss"))
    store = SnapshotStore(str(tmp_path))

    taken = with_text_outcome(store, ["high", "low", "fine", "high"])
    assert read_rows(model, taken).outcome.tolist() == [2.0, 0.0, 1.0, 2.0]
    strange = with_text_outcome(store, ["low", "gone"])
    with pytest.raises(OutcomeError, match="one of low, fine, high, found 'gone'"):
        read_rows(model, strange)
