"""Journaled predictions are made again to the bit, and what differs is found and named."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import msgspec
import psycopg
import pyarrow as pa
import pytest

from penstock.contract.contract import Contract
from penstock.contract.digest import former_digest
from penstock.journal.replay import Replay
from penstock.journal.upkeep import keep_up
from penstock.journal.verdict import Verdict
from penstock.releases.artifacts import ArtifactStore
from penstock.snapshots.store import Recipe, SnapshotStore
from tests.engine.serving import toy
from tests.engine.serving.conftest import Service, Start, wait_for
from tests.slow import slow_after


def replay(service: Service, contracts: Mapping[str, Contract] | None = None, snapshots: str = "") -> list[Verdict]:
    """Replay everything."""
    made = Replay(
        service.book,
        contracts or {"overflow": toy.CONTRACT},
        ArtifactStore(service.settings.artifacts),
        service.folder / "cache",
        snapshots,
    )
    return list(made.run(since=datetime.now(UTC) - timedelta(hours=1)))


def stages(verdicts: list[Verdict]) -> set[str]:
    return {verdict.stage for verdict in verdicts}


@pytest.fixture
def answered(service: Service) -> Service:
    """Predictions across two releases and three sets of snapshots."""
    many = [{"tank": f"t{n % 52}", "valve": n % 60, "inflow": n / 3, "note": "é"} for n in range(200)]
    service.http.post("/models/overflow/predict", json=many).raise_for_status()
    toy.publish_tanks(service.book, height=1 / 3)
    service.http.post("/models/overflow/predict", json=many).raise_for_status()
    service.release(2)
    wait_for(lambda: service.ask().json()["release"] == 2)
    toy.publish_levels(service.book, base=0.1)
    service.http.post("/models/overflow/predict", json=many).raise_for_status()
    return service


def test_all_predictions_across_releases_and_publishes_are_the_same_to_the_bit(answered: Service) -> None:
    verdicts = replay(answered)
    assert len(verdicts) >= 590
    assert stages(verdicts) == {""}, [verdict for verdict in verdicts if verdict.stage][:3]
    assert {verdict.release for verdict in verdicts} == {1, 2}


def test_a_release_of_before_is_served_and_replayed_by_its_former_digest(
    service: Service, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(Contract, "digest", former_digest)
        service.release(2)
    wait_for(lambda: service.serves() == 2)
    assert service.ask(valve=44).json()["release"] == 2
    verdicts = replay(service)
    assert (len(verdicts), stages(verdicts)) == (1, {""})
    service.release(3, contract=msgspec.structs.replace(toy.CONTRACT, entity=("tank",)))
    assert start().ask(valve=45).json()["release"] == 2, "what a replica falls back to"


def test_a_tampered_row_is_found_and_named(answered: Service) -> None:
    with answered.book.connect() as connection:
        physical = connection.execute("SELECT physical FROM replicated.current WHERE table_name='tanks'").fetchone()
        assert physical is not None
        connection.execute(f"UPDATE replicated.\"{physical[0]}\" SET height = height + 1e-15 WHERE name = 't7'")
    different = [verdict for verdict in replay(answered) if not verdict.same]
    assert different
    assert stages(different) == {"looked_up"}
    assert all(verdict.expected.startswith("tank: ") for verdict in different)


def test_a_tampered_answer_or_feature_digest_is_found_and_named(answered: Service) -> None:
    with answered.book.connect() as connection:
        ids = [row[0] for row in connection.execute("SELECT id::text FROM app.prediction ORDER BY id LIMIT 2")]
        connection.execute(
            "UPDATE app.prediction SET prediction = replace(prediction, '\"overflows\":0', '\"overflows\":1')"
            " WHERE id = %s",
            (ids[0],),
        )
        connection.execute("UPDATE app.prediction SET features = '\\x00' WHERE id = %s", (ids[1],))
    found = {verdict.id: verdict.stage for verdict in replay(answered) if not verdict.same}
    assert found[ids[1]] == "features"
    assert found.get(ids[0], "output") == "output"


def test_a_damaged_artifact_and_other_code_are_named(answered: Service) -> None:
    with answered.book.connect() as connection:
        digest = connection.execute("SELECT artifact FROM app.current_release").fetchone()
    assert digest is not None
    store = ArtifactStore(answered.settings.artifacts)
    path = f"{store.url}/{digest[0]}.artifact"
    with open(path, "r+b") as file:
        file.seek(500)
        file.write(b"x")
    assert {v.stage for v in replay(answered) if v.release == 2} == {"artifact"}
    other = {"overflow": msgspec.structs.replace(toy.CONTRACT, entity=("tank",))}
    needing = replay(answered, other)
    assert stages(needing) == {"contract"}
    assert {one.needs_code for one in needing} == {f"of an unknown version (contract {toy.CONTRACT.digest()[:12]})"}


def test_a_table_that_is_gone_is_read_from_the_snapshot_store(answered: Service, tmp_path: str) -> None:
    store = SnapshotStore(f"{tmp_path}/snapshots")
    with answered.book.connect() as connection:
        current = connection.execute("SELECT table_name, snapshot, physical FROM replicated.current").fetchall()
    stored: dict[str, str] = {}
    keys = {"tanks": ("name",), "levels": ("tank", "measured_at"), "valves": ("number",)}
    for table, snapshot, physical in current:
        with answered.book.connect() as connection:
            cursor = connection.execute(f'SELECT * FROM replicated."{physical}" ORDER BY {", ".join(keys[table])}')
            names = [column.name for column in cursor.description or ()]
            rows = cursor.fetchall()
        batch = pa.RecordBatch.from_pylist([dict(zip(names, row, strict=True)) for row in rows])
        reader = pa.RecordBatchReader.from_batches(batch.schema, [batch])
        written = store.write(table, reader, Recipe("", keys[table]), as_of=toy.START)
        stored[snapshot] = written.id
    with answered.book.connect() as connection:
        connection.execute("DELETE FROM replicated.physical_table")
        connection.execute("DELETE FROM replicated.current")
        for old, new in stored.items():
            connection.execute("UPDATE app.origin SET snapshots = replace(snapshots, %s, %s)", (old, new))
    verdicts = [v for v in replay(answered, snapshots=store.url) if v.stage != "snapshots"]
    assert len(verdicts) >= 200, "those of the last set of snapshots"
    assert stages(verdicts) == {""}, [v for v in verdicts if v.stage][:3]


def test_the_journal_keeps_days_and_drops_what_is_older(service: Service) -> None:
    service.ask()
    with service.book.connect(autocommit=True) as connection:

        def partitions() -> int:
            found = connection.execute(
                "SELECT count(*) FROM pg_inherits WHERE inhparent = 'app.prediction'::regclass"
            ).fetchone()
            assert found is not None
            return int(found[0])

        before = partitions()
        assert connection.execute("SELECT app.prepare_journal(36)").fetchone() == (36 - 30,)
        assert partitions() == before + 6
        done = keep_up(service.book, keep=0)
        assert (len(done.dropped), done.days_ahead) == (1, 36), "yesterday's"
        assert service.journal() == 1
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(
                "INSERT INTO app.prediction (id, model, entity, asked_at, answered_at, request, looked_up, features,"
                " prediction, origin, request_id)"
                " VALUES (app.first_id('2020-01-01'), '', '', now(), now(), '1', '1', '', '1', 1, '')"
            )


@pytest.mark.parametrize("kind", [date, Annotated[datetime, msgspec.Meta(tz=False)]], ids=["date", "naive"])
@pytest.mark.parametrize("in_memory", slow_after(1, [False, True]))
def test_dates_and_times_without_a_zone_are_asked_at_journaled_and_replayed(
    service: Service, start: Start, kind: Any, in_memory: bool
) -> None:
    fields = [
        ("tank", str),
        ("valve", int),
        ("inflow", float, 0.0),
        ("asked_at", kind | None, None),
    ]
    request = msgspec.defstruct("Ask", fields, frozen=True, forbid_unknown_fields=True, kw_only=True)
    contract = msgspec.structs.replace(toy.CONTRACT, request=request)
    asked = start(contract)
    asked.release(2)
    wait_for(lambda: asked.serves() == 2)
    if in_memory:
        asked.wait_for_tables()
    text = "2026-01-02" if kind is date else "2026-01-02T00:00:00"
    rows = [{"tank": f"t{n}", "valve": n, "asked_at": text} for n in range(5)] + [{"tank": "t9", "valve": 9}]
    answers = asked.http.post("/models/overflow/predict", json=rows)
    assert answers.status_code == 200, answers.text
    assert [answer["missing"] for answer in answers.json()] == [["level"], *[[]] * 5]
    zoned = asked.http.post("/models/overflow/predict", json=rows[0] | {"asked_at": f"{text}Z"})
    assert zoned.status_code == 422
    verdicts = replay(service, {"overflow": contract})
    assert len(verdicts) == 6
    assert stages(verdicts) == {""}, verdicts
