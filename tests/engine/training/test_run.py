"""The steps of one training run share its held-out rows and their scores."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from penstock.contract.contract import Columns
from penstock.declare.model import Model
from penstock.declare.periods import Cadence
from penstock.errors import PenstockError
from penstock.extract.extract import demand_columns, extract
from penstock.postgres.book import Book
from penstock.publish.publish import publish
from penstock.releases.entry import LedgerEntry
from penstock.releases.ledger import current
from penstock.settings import Settings
from penstock.snapshots.store import SnapshotStore
from penstock.training import held_out
from penstock.training.candidate import Candidate
from penstock.training.gate import Decision, GateError
from penstock.training.run import TrainingRun
from penstock.training.skew import Skew, SkewError
from penstock.warehouse.opening import open_warehouse
from tests.engine.training.tank_declarations import declared
from tests.engine.training.tanks import rows_of, settings_in
from tests.engine.training.trial import Trial

NOTHING_DIFFERS = Skew(0, {}, {})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def model() -> Model:
    return declared().model("overflow")


def trained(run: TrainingRun, test: Book) -> Candidate:
    training, holdout = rows_of(run.settings, "2026-02"), rows_of(run.settings, run.period)
    return run.train(training, holdout, NOTHING_DIFFERS, test, lambda _: None)


def released(run: TrainingRun, made: Candidate, test: Book, prod: Book) -> list[Decision]:
    """The decisions of both gates."""
    entries = (
        run.release_to_test(made.proposal, test, who="me", why="test"),
        run.release_to_prod(made.proposal, test, prod, who="me", why="test"),
    )
    return [entry.gate for entry in entries]


@pytest.mark.slow
def test_a_run_reads_its_held_out_rows_once_and_scores_and_compares_each_artifact_once(
    settings: Settings, model: Model, book: Book, prod_book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = TrainingRun(settings, model, "2026-03")
    released(first, trained(first, book), book, prod_book)
    calls: list[str] = []

    def count(name: str, function: Any) -> None:
        def counted(*given: Any, **more: Any) -> Any:
            calls.append(name)
            return function(*given, **more)

        monkeypatch.setattr(held_out, name, counted)

    for name in ("read_rows", "compare", "score_of"):
        count(name, getattr(held_out, name))
    run = TrainingRun(settings, model, "2026-04")
    made = trained(run, book)
    before = current(book, run.name)
    decision = run.judge(made.proposal, before)
    gates = released(run, made, book, prod_book)

    assert sorted(calls) == ["compare", "read_rows", "score_of"]  # the only score computed is that of the first release
    assert decision.current is not None
    assert gates[0] == gates[1]
    assert gates[0]["interval"] == list(decision.interval or ())
    assert TrainingRun(settings, model, "2026-04").judge(made.proposal, before) == decision


def test_nothing_is_trained_where_training_and_serving_differ(settings: Settings, model: Model, book: Book) -> None:
    run = TrainingRun(settings, model, "2026-03")
    training, holdout = rows_of(settings, "2026-02"), rows_of(settings, "2026-03")
    differ = replace(NOTHING_DIFFERS, differing={"inflow": {"row": "7", "trained": "1.0", "served": "2.0"}})
    said: list[str] = []

    with pytest.raises(SkewError, match=r"feature 'inflow' of model 'overflow'.*row 7"):
        run.train(training, holdout, differ, book, said.append)
    assert said == []


def test_a_month_without_rows_says_what_to_materialize(settings: Settings, model: Model) -> None:
    with pytest.raises(PenstockError, match=r"holdout_set of 2026-03.*Materialize overflow/holdout_set for 2026-03"):
        TrainingRun(settings, model, "2026-03").latest("holdout_set")


def test_a_period_is_refused_until_its_outcomes_are_known_and_says_when_that_is(
    settings: Settings, model: Model
) -> None:
    late = replace(model, outcome_after=timedelta(days=5))
    until = msgspec.structs.replace(settings, now_override=datetime(2026, 4, 5, 23, tzinfo=UTC))
    after = msgspec.structs.replace(settings, now_override=datetime(2026, 4, 6, tzinfo=UTC))

    with pytest.raises(
        PenstockError,
        match=r"period 2026-03 of model 'overflow': expected at most 2026-02, the newest whose outcomes are known, "
        r"found one whose outcomes are known on 2026-04-06 00:00 UTC. Train 2026-02, or",
    ):
        TrainingRun(until, late, "2026-03").extract("holdout_set")
    TrainingRun(after, late, "2026-03").demand_complete()
    TrainingRun(until, late, "2026-03", incomplete=True).demand_complete()
    assert str(late.newest_trainable(until.now())) == "2026-02"
    assert str(late.newest_trainable(after.now())) == "2026-03"


def test_what_was_trained_before_its_outcomes_were_known_is_released_only_by_whoever_says_so(
    settings: Settings, model: Model, book: Book
) -> None:
    early = msgspec.structs.replace(settings, now_override=datetime(2026, 3, 20, tzinfo=UTC))
    said_so = TrainingRun(early, model, "2026-03", incomplete=True)
    made = trained(said_so, book)
    later = TrainingRun(settings, model, "2026-03")

    assert made.proposal.metrics["incomplete_until"] == "2026-04-01 00:00 UTC"
    assert later.proposal_of(made.proposal.artifact).metrics["incomplete_until"] == "2026-04-01 00:00 UTC"
    with pytest.raises(GateError, match="before the outcomes of 2026-03 were known, on 2026-04-01 00:00 UTC"):
        later.release_to_test(made.proposal, book, who="me", why="test")
    entry = said_so.release_to_test(made.proposal, book, who="me", why="the fair is tomorrow")
    assert (entry.why, entry.metrics["incomplete_until"]) == ("the fair is tomorrow", "2026-04-01 00:00 UTC")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("every", "period", "earlier", "windows"),
    [
        ("day", "2026-03-20", "2026-03-19", ("2026-03-18", "2026-03-20", "2026-03-21")),
        ("week", "2026-W11", "2026-W10", ("2026-02-23", "2026-03-09", "2026-03-16")),
    ],
)
def test_a_model_of_days_or_weeks_goes_from_the_warehouse_to_a_release_of_its_period(
    settings: Settings, model: Model, book: Book, every: Cadence, period: str, earlier: str, windows: tuple[str, ...]
) -> None:
    with duckdb.connect(str(settings.warehouse_file)) as warehouse:
        warehouse.execute(
            "CREATE TABLE asked AS SELECT i AS tank, sin(i * 7.1) AS inflow, cos(i * 3.3) AS level,"
            " CASE WHEN i % 2 = 0 THEN 'north' ELSE 'south' END AS site,"
            " TIMESTAMPTZ '2026-02-20 00:00:00+00' + to_minutes(CAST(i * 10 AS INTEGER)) AS asked_at,"
            " CAST(sin(i * 7.1) + cos(i * 3.3) / 4 > 0 AS BIGINT) AS overflows FROM range(5000) t(i)"
        )
    query = "SELECT * FROM asked WHERE asked_at >= :from AND asked_at < :until"
    paced = replace(model, every=every, window=2, query=query)

    def release(named: str) -> tuple[LedgerEntry, tuple[datetime, ...]]:
        run = TrainingRun(settings, paced, named)
        training, holdout = run.extract_both()
        made = run.train(training, holdout, NOTHING_DIFFERS, book, lambda _: None)
        entry = run.release_to_test(run.proposal_of(made.proposal.artifact), book, who="me", why="test")
        taken = [snapshot.batches().read_all()["asked_at"].to_pylist() for snapshot in (training, holdout)]
        assert made.card.period == named
        return entry, (min(taken[0]), max(taken[0]), min(taken[1]), max(taken[1]))

    entry, (first, last_trained, first_held_out, last) = release(period)

    start, middle, end = (datetime.fromisoformat(day).replace(tzinfo=UTC) for day in windows)
    assert (first, first_held_out) == (start, middle)
    assert (last_trained, last) == (middle - timedelta(minutes=10), end - timedelta(minutes=10))
    assert (entry.period, entry.release) == (period, 1)
    assert current(book, "overflow") == entry
    with pytest.raises(GateError, match=f"its period {earlier} is older than {period} of release 1"):
        release(earlier)


def test_columns_that_the_query_lacks_are_named_at_once(model: Model) -> None:
    misspelt = replace(model, outcome="overflow", sample_weight="wight")
    found = list(model.contract.request_kinds())
    with pytest.raises(PenstockError, match="it lacks 'overflow', 'wight', found "):
        demand_columns(misspelt, found)
    demand_columns(model, [*found, model.outcome])


def test_a_table_that_lacks_a_new_lookup_column_is_missing_too(tmp_path: Path, book: Book) -> None:
    """So that one `penstock train` publishes it: the replicas that run select the columns that they know."""
    trial = Trial(tmp_path, book, int, "number")
    trial.fill("SELECT 1::BIGINT AS who, 1.5::DOUBLE AS fact", "SELECT 1 AS who, now() AS asked_at, 1.0 AS y")
    run = TrainingRun(trial.settings, trial.model, "2026-01", [trial.table])
    before = replace(trial.table, query="SELECT who FROM facts")

    assert run.missing_tables([book]) == [trial.table]
    warehouse = open_warehouse(trial.settings)
    snapshot = extract(before, warehouse, SnapshotStore(trial.settings.snapshots), trial.settings.now())
    publish(snapshot, before, [book], who="me")
    assert run.missing_tables([book]) == [trial.table]
    run.publish([trial.table], [book])
    assert run.missing_tables([book]) == []


def without_site(columns: Columns) -> dict[str, Any]:
    return {name: columns[name] for name in ("inflow", "level")}


def test_a_release_that_needs_a_removed_feature_is_compared_by_what_the_ledger_recorded_of_the_period(
    settings: Settings, model: Model, book: Book, prod_book: Book
) -> None:
    first = TrainingRun(settings, model, "2026-03")
    released(first, trained(first, book), book, prod_book)
    contract = msgspec.structs.replace(model.contract, features=model.contract.features[:2], compute=without_site)
    fewer = replace(model, contract=contract, estimator=lambda: HistGradientBoostingClassifier(max_iter=20))
    run = TrainingRun(settings, fewer, "2026-03")
    made = trained(run, book)
    before = current(book, run.name)
    assert before is not None

    decision = run.judge(made.proposal, before)
    assert (decision.recorded, decision.current) == (True, before.metrics["roc_auc"])
    assert decision.passed, decision.summary
    assert "as recorded of the same period" in decision.summary
    better = replace(before, metrics={**before.metrics, "roc_auc": 0.999})
    assert "is worse than 0.9990 of release 1" in run.judge(made.proposal, better).summary
    of_other_rows = run.judge(made.proposal, replace(before, period="2026-02"))
    assert not of_other_rows.passed
    assert "train 2026-02" in of_other_rows.summary
    entries = released(run, made, book, prod_book)
    assert [gate["recorded"] for gate in entries] == [True, True]
