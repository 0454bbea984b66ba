"""Several classes and regressors go the same way as two classes: candidate, card, gate, ledger."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from penstock.cli.commands.releases import _value
from penstock.contract.contract import Output
from penstock.declare.estimators import boosting as boosted
from penstock.declare.metrics import judged_value
from penstock.declare.model import Bound, GateRule, Model
from penstock.errors import PenstockError
from penstock.postgres.book import Book
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.card_text import html, markdown
from penstock.releases.entry import LedgerEntry
from penstock.releases.ledger import current
from penstock.settings import Settings
from penstock.snapshots.store import Recipe, Snapshot, SnapshotStore
from penstock.training.candidate import Candidate, make_candidate
from penstock.training.gate import GateError
from penstock.training.held_out import HeldOut
from penstock.training.outcomes import OutcomeError
from penstock.training.run import TrainingRun
from tests.engine.training.tanks import CONTRACT, candidate_of, rows_of, settings_in, stored, tank_model

LEVELS = ("low", "fine", "high")


def boosting(kind: type, **options: Any) -> Any:
    encoder = make_column_transformer((OrdinalEncoder(), ["site"]), remainder="passthrough")
    return make_pipeline(encoder, kind(max_iter=20, random_state=0, **options))


def several(**more: Any) -> Model:
    contract = msgspec.structs.replace(CONTRACT, output=Output("state", "classifier", LEVELS))
    rule = GateRule("log_loss", 1.0, 0.01, slice_by="site", also=(Bound("roc_auc_ovr", 0.7), Bound("accuracy", 0.5)))
    made = tank_model(lambda: boosting(HistGradientBoostingClassifier), metric="log_loss", floor=1.0)
    return replace(made, contract=contract, gate=rule, base_rate_by=lambda columns: columns["site"].astype(str), **more)


def value() -> Model:
    contract = msgspec.structs.replace(CONTRACT, output=Output("height", "regressor", unit="m"))
    made = tank_model(lambda: boosting(HistGradientBoostingClassifier))
    return replace(
        made,
        contract=contract,
        estimator=lambda: boosting(HistGradientBoostingRegressor),
        gate=GateRule("mae", 1.2, 0.01, also=(Bound("r2", 0.5),)),
        base_rate_by=lambda columns: columns["site"].astype(str),
    )


def month_of(settings: Settings, model: Model, month: str) -> Snapshot:
    """Rows of a month with the model's kind of outcome: what inflow and level come to, or which third that is in."""
    whole = rows_of(settings, month).batches().read_all()
    sums = 2 * whole["inflow"].to_numpy() + np.nan_to_num(whole["level"].to_numpy())
    outcome = pa.array(sums) if model.task == "regression" else pa.array(np.array(LEVELS)[np.digitize(sums, [-1, 1])])
    table = whole.set_column(whole.schema.get_field_index("overflows"), "overflows", outcome)
    return stored(settings, f"made.{model.task}.{month}", table, settings.now())


def trained(settings: Settings, model: Model, month: str) -> Candidate:
    training, holdout = (month_of(settings, model, name) for name in ("2026-02", month))
    return candidate_of(settings, model, month, training, holdout)


def release(settings: Settings, model: Model, made: Candidate, book: Book) -> LedgerEntry:
    run = TrainingRun(settings, model, made.proposal.period)
    return run.release_to_test(made.proposal, book, who="me", why="test")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


def test_several_classes_are_judged_carded_and_released(settings: Settings, book: Book) -> None:
    model = several()
    made = trained(settings, model, "2026-03")
    entry = release(settings, model, made, book)

    metrics = made.proposal.metrics
    assert metrics["judged_by"] == "log_loss"
    assert metrics["log_loss_low"] < metrics["log_loss"] < metrics["log_loss_high"]
    assert metrics["log_loss"] < 0.5 * metrics["log_loss_base_rate"]
    assert metrics["roc_auc_ovr"] > 0.9
    assert [one.name for one in made.card.metrics] == ["roc_auc_ovr", "log_loss", "accuracy"]
    assert [one["metric"] for one in entry.gate["also"]] == ["roc_auc_ovr", "accuracy"]
    assert set(entry.gate["slices"]) == {"north", "south"}
    page = html(made.card)
    assert "confusion of the classes" in page
    assert "mean outcome" not in page


def test_a_value_is_judged_carded_and_released(settings: Settings, book: Book) -> None:
    model = value()
    made = trained(settings, model, "2026-03")
    entry = release(settings, model, made, book)

    metrics = made.proposal.metrics
    assert metrics["mae_low"] < metrics["mae"] < metrics["mae_high"]
    assert metrics["mae"] < 0.6 * metrics["mae_base_rate"]
    assert [one.name for one in made.card.metrics] == ["rmse", "mae", "r2"]
    assert entry.gate["also"][0]["metric"] == "r2"
    text = markdown(made.card)
    assert "residuals on the held-out rows" in html(made.card)
    assert "mean outcome" in text
    assert " m;" in text
    assert "| mae | lower | 1.2 | 0.01 |" in text
    importance = {feature.name: feature.importance for feature in made.card.features}
    assert importance["inflow"] > importance["level"] > 10 * abs(importance["site"])


@pytest.mark.slow
def test_a_worse_regressor_is_refused_by_its_error(settings: Settings, book: Book) -> None:
    model = value()
    release(settings, model, trained(settings, model, "2026-03"), book)
    worse = replace(model, estimator=lambda: boosting(HistGradientBoostingRegressor, max_depth=1))
    made = trained(settings, worse, "2026-04")

    decision = TrainingRun(settings, model, "2026-04").judge(made.proposal, current(book, CONTRACT.model))
    assert not decision.passed
    with pytest.raises(GateError, match=r"mae .* is worse than"):
        release(settings, worse, made, book)


def test_a_metric_of_another_task_cannot_be_declared() -> None:
    with pytest.raises(PenstockError, match="metrics for regression: rmse, mae, r2, found 'roc_auc'"):
        replace(value(), gate=GateRule(also=(Bound("mae", 1.0),)))
    with pytest.raises(PenstockError, match="metrics for multiclass"):
        replace(several(), gate=GateRule("log_loss", 1.0, also=(Bound("brier", 1.0),)))


def test_a_class_that_training_never_saw_is_said_so(settings: Settings) -> None:
    model = several()
    declared = msgspec.structs.replace(model.contract, output=Output("state", "classifier", (*LEVELS, "gone")))

    with pytest.raises(OutcomeError, match="found no training row of class 'gone'"):
        trained(settings, replace(model, contract=declared), "2026-03")


@pytest.mark.slow
def test_a_sampled_training_is_repeated_exactly_and_says_so(settings: Settings) -> None:
    model = several(most_training_rows=900)
    first, second = (trained(settings, model, "2026-03") for _ in range(2))

    assert first.proposal == second.proposal
    assert first.training_rows == 900
    assert (first.proposal.metrics["training_rows"], first.proposal.metrics["sampled_from_rows"]) == (900, 1_500)
    assert "a sample of 900 of 1,500" in markdown(first.card)
    assert trained(settings, several(), "2026-03").proposal.artifact != first.proposal.artifact


def test_features_without_any_value_in_the_window_are_fitted_as_constants(settings: Settings) -> None:
    """And what comes later, a value of each, is answered as scikit-learn answers it."""
    model = replace(
        tank_model(lambda: boosted("classifier", max_iter=20)), gate=GateRule("roc_auc", 0.5), null_outcome="leave_out"
    )
    months = [rows_of(settings, month, step=f"m{month}") for month in ("2026-01", "2026-02")]
    table = pa.Table.from_batches(months[0].batches())
    empty = {"level": pa.nulls(len(table), pa.float64()), "site": pa.nulls(len(table), pa.string())}
    for name, nulls in empty.items():
        table = table.set_column(table.column_names.index(name), name, nulls)
    store, said = SnapshotStore(settings.snapshots), list[str]()
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches())
    training = store.write("empty", reader, Recipe("", ("tank", "asked_at")), as_of=settings.now())
    artifacts = ArtifactStore(settings.artifacts)
    held_out = HeldOut(model, months[1], artifacts, settings.artifact_cache)
    made = make_candidate(model, "2026-02", training, held_out, artifacts, code_version="c", step=said.append)
    assert made.parity <= 1e-12
    assert "fitting level, site as constant: no training row has a value" in said
    assert made.proposal.metrics["roc_auc"] > 0.7


@pytest.mark.parametrize(("metrics", "value"), [({"judged_by": "r2", "r2": 0.0}, 0.0), ({"judged_by": "r2"}, None)])
def test_a_metric_of_exactly_zero_is_no_missing_one(metrics: dict[str, Any], value: float | None) -> None:
    assert str(judged_value(metrics)) == ("nan" if value is None else "0.0")
    assert _value(metrics, named=True) == ("R² nan" if value is None else "R² 0.0000")
