"""Classifiers without probabilities, and regressors of several values: declared, judged, carded, released."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from penstock.artifact import load as artifacts
from penstock.contract.contract import Output, Value
from penstock.declare.metrics import judged_by, judged_value, label_of
from penstock.declare.model import Bound, GateRule, Model
from penstock.errors import PenstockError, UnsupportedEstimator
from penstock.postgres.book import Book
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.card_text import html, markdown
from penstock.releases.ledger import current
from penstock.settings import Settings
from penstock.snapshots.store import Snapshot
from penstock.training.candidate import Candidate
from penstock.training.gate import GateError
from penstock.training.metrics import METRICS
from penstock.training.outcomes import OutcomeError
from penstock.training.run import TrainingRun
from tests.engine.training.tanks import CONTRACT, candidate_of, rows_of, settings_in, stored, tank_model
from tests.engine.training.test_tasks import LEVELS, release

VALUES = (Value("height", "m"), Value("volume", "m3"))


def linear(**options: Any) -> Any:
    encoder = make_column_transformer((OneHotEncoder(), ["site"]), (SimpleImputer(), ["inflow", "level"]))
    return make_pipeline(encoder, RidgeClassifier(**options))


def scored(classes: tuple[str, ...], estimator: Any = linear, **more: Any) -> Model:
    contract = msgspec.structs.replace(CONTRACT, output=Output("state", "classifier", classes, scores=True))
    metric = "roc_auc" if len(classes) == 2 else "roc_auc_ovr"
    return Model(
        contract=contract,
        query="SELECT * FROM tanks WHERE asked_at >= :from AND asked_at < :until",
        outcome="overflows",
        estimator=estimator,
        window=2,
        base_rate_by=lambda columns: columns["site"].astype(str),
        **{"gate": GateRule(metric, 0.6, 0.01, slice_by="site", also=(Bound("accuracy", 0.6),))} | more,  # type: ignore[arg-type]  # one of the metrics
    )


def forest(**options: Any) -> Any:
    encoder = make_column_transformer((OrdinalEncoder(), ["site"]), remainder="passthrough")
    return make_pipeline(encoder, RandomForestRegressor(**{"n_estimators": 10, "random_state": 0} | options))


def valued(estimator: Any = forest, **more: Any) -> Model:
    rule = GateRule(
        "mae",
        1.0,
        0.01,
        of="height",
        slice_by="site",
        also=(Bound("r2", 0.5), Bound("rmse", 9, of="volume"), Bound("mae", 9, of="volume")),
    )
    return Model(
        contract=msgspec.structs.replace(CONTRACT, output=Output("size", "regressor", values=VALUES)),
        query="SELECT * FROM tanks WHERE asked_at >= :from AND asked_at < :until",
        estimator=estimator,
        window=2,
        base_rate_by=lambda columns: columns["site"].astype(str),
        **{"gate": rule} | more,
    )


def month_of(settings: Settings, model: Model, month: str) -> Snapshot:
    """Rows of a month with the model's outcomes, made of inflow and level."""
    whole = rows_of(settings, month).batches().read_all()
    sums = 2 * whole["inflow"].to_numpy() + np.nan_to_num(whole["level"].to_numpy())
    if model.contract.output.values:
        whole = whole.append_column("height", pa.array(sums)).append_column("volume", pa.array(3 * sums + 1))
    elif len(model.contract.output.classes) > 2:
        column = pa.array(np.array(LEVELS)[np.digitize(sums, [-1, 1])])
        whole = whole.set_column(whole.schema.get_field_index("overflows"), "overflows", column)
    return stored(settings, f"made.{model.task}.{month}", whole, settings.now())


def trained(settings: Settings, model: Model, month: str) -> Candidate:
    training, holdout = (month_of(settings, model, name) for name in ("2026-02", month))
    return candidate_of(settings, model, month, training, holdout)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [("holds", "overflows"), LEVELS])
def test_scores_are_judged_carded_and_released(classes: tuple[str, ...], settings: Settings, book: Book) -> None:
    model = scored(classes)
    made = trained(settings, model, "2026-03")
    entry = release(settings, model, made, book)

    judge, metrics = model.gate.metric, made.proposal.metrics
    assert metrics[f"{judge}_low"] < metrics[judge] < metrics[f"{judge}_high"]
    assert metrics[judge] > metrics[f"{judge}_base_rate"] + 0.2
    assert metrics["accuracy"] > 0.6
    assert [one.name for one in made.card.metrics] == [judge, "accuracy"]
    assert set(entry.gate["slices"]) == {"north", "south"}
    assert "decision scores, no probabilities" in markdown(made.card)
    assert "calibration" not in html(made.card)
    artifact = artifacts.load(ArtifactStore(settings.artifacts).fetch(made.proposal.artifact, settings.artifact_cache))
    assert artifact.scores
    again = trained(settings, scored(classes, lambda: linear(alpha=1e6, class_weight={0: 50.0})), "2026-04")
    decision = TrainingRun(settings, model, "2026-04").judge(again.proposal, current(book, CONTRACT.model))
    assert any("accuracy" in reason and "is worse than" in reason for reason in decision.reasons)


@pytest.mark.slow
def test_scores_are_not_compared_with_the_probabilities_of_the_release_before(settings: Settings, book: Book) -> None:
    classes = ("holds", "overflows")
    steps = make_column_transformer((OneHotEncoder(), ["site"]), (SimpleImputer(), ["inflow", "level"]))
    model = scored(classes)
    contract = msgspec.structs.replace(CONTRACT, output=Output("state", "classifier", classes))
    probable = replace(model, contract=contract, estimator=lambda: make_pipeline(steps, LogisticRegression()))
    release(settings, probable, trained(settings, probable, "2026-03"), book)
    made = trained(settings, model, "2026-04")
    decision = TrainingRun(settings, model, "2026-04").judge(made.proposal, current(book, CONTRACT.model))
    assert decision.reasons == ("release 1 answers otherwise than the contract: other classes, or scores",)


def test_the_metrics_of_scores_are_those_of_labels_and_ranks(settings: Settings) -> None:
    model = scored(("holds", "overflows"))
    made = trained(settings, model, "2026-03")
    held_out = TrainingRun(settings, model, "2026-03").held_out(made.proposal.holdout_snapshot)
    scores = held_out.scores(made.proposal.artifact)
    assert scores is not None
    assert made.proposal.metrics["roc_auc"] == METRICS["roc_auc"](held_out.rows.outcome, scores[:, 1])
    assert made.proposal.metrics["accuracy"] == float((scores[:, 0] == held_out.rows.outcome).mean())


@pytest.mark.slow
def test_several_values_are_judged_carded_and_released(settings: Settings, book: Book) -> None:
    model = valued()
    made = trained(settings, model, "2026-03")
    entry = release(settings, model, made, book)

    metrics = made.proposal.metrics
    assert metrics["judged_by"] == "mae of height"
    assert metrics["mae of height_low"] < metrics["mae of height"] < metrics["mae of height_high"]
    assert metrics["mae of height"] < 0.3 * metrics["mae of height_base_rate"]
    assert metrics["mae"] == pytest.approx((metrics["mae of height"] + metrics["mae of volume"]) / 2)
    assert metrics["outcome_mean of volume"] == pytest.approx(3 * metrics["outcome_mean of height"] + 1)
    assert judged_by(metrics) == "mae of height"
    assert judged_value(metrics) == metrics["mae of height"]
    assert label_of("mae of height") == "MAE of height"
    assert [one["metric"] for one in entry.gate["also"]] == ["r2", "rmse of volume", "mae of volume"]
    text = markdown(made.card)
    assert "| output | size: height (m), volume (m3) |" in text
    assert "| rmse of volume | lower | 9 | 0 |" in text
    assert "predicted and actual values" in html(made.card)
    worse = trained(settings, valued(lambda: forest(max_depth=1)), "2026-04")
    with pytest.raises(GateError, match=r"mae of height .* is worse than"):
        release(settings, model, worse, book)


@pytest.mark.slow
def test_the_card_of_several_values_draws_contributions_to_the_first(settings: Settings) -> None:
    made = trained(settings, valued(explain=True), "2026-03")
    assert made.card.contributions_plot.startswith(b"\x89PNG")
    amounts = {feature.name: feature.contribution or 0.0 for feature in made.card.features}
    assert amounts["inflow"] > amounts["level"] > amounts["site"]
    assert amounts["inflow"] < 2.5, "of the height, in which inflow counts twice, not of the volume"


def test_a_regressor_for_each_value_is_packed(settings: Settings) -> None:
    encoder = make_column_transformer((OrdinalEncoder(), ["site"]), remainder="passthrough")
    each = MultiOutputRegressor(HistGradientBoostingRegressor(max_iter=10))
    made = trained(settings, valued(lambda: make_pipeline(encoder, each)), "2026-03")
    assert made.card.packed
    assert made.parity == 0.0


def test_rows_without_every_value_are_left_out_or_refused(settings: Settings) -> None:
    model = valued()
    whole = month_of(settings, model, "2026-03").batches().read_all()
    place = whole.schema.get_field_index("volume")
    some = pa.array([None if at % 5 == 0 else 1.0 for at in range(len(whole))], pa.float64())
    lacking = stored(settings, "some", whole.set_column(place, "volume", some), settings.now())
    holdout = month_of(settings, model, "2026-04")
    with pytest.raises(OutcomeError, match="300 of 1,500 training rows without a finite outcome"):
        candidate_of(settings, model, "2026-04", lacking, holdout)
    made = candidate_of(settings, replace(model, null_outcome="leave_out"), "2026-04", lacking, holdout)
    assert (made.training_rows, made.proposal.metrics["rows_without_outcome"]) == (1_200, 300)


def test_an_estimator_that_answers_otherwise_is_refused_before_the_fit(settings: Settings) -> None:
    for model, said in (
        (scored(("holds", "overflows"), lambda: make_pipeline(SimpleImputer(), LogisticRegression())), "scores=True"),
        (valued(HistGradientBoostingRegressor), "MultiOutputRegressor"),
    ):
        with pytest.raises(UnsupportedEstimator, match=said):
            trained(settings, model, "2026-03")


REFUSED: dict[str, tuple[Any, str]] = {
    "sets of scores": (lambda: scored(LEVELS, sets=0.9), "sets of model 'overflow': .*with probabilities"),
    "a metric of probabilities": (
        lambda: scored(("holds", "overflows"), gate=GateRule("log_loss", 1.0)),
        "of two classes that answers scores: roc_auc, accuracy, found 'log_loss'",
    ),
    "an interval of several values": (lambda: valued(interval=0.9), "interval of model 'overflow': .*one value"),
    "a metric of no value": (lambda: valued(gate=GateRule("mae", 1.0, of="depth")), "height, volume, found 'depth'"),
    "an outcome beside the values": (lambda: valued(outcome="y"), "the values' columns height, volume, found 'y'"),
    "one value": (lambda: Output("size", "regressor", values=VALUES[:1]), "at least two, found only 'height'"),
    "a value twice": (lambda: Output("size", "regressor", values=VALUES[:1] * 2), "each name once"),
    "a unit of all": (lambda: Output("size", "regressor", unit="m", values=VALUES), r"Value\('height', 'm'\)"),
    "values of a classifier": (lambda: Output("size", "classifier", values=VALUES), "none of a classifier"),
    "scores of a regressor": (lambda: Output("size", "regressor", scores=True), "scores of output 'size'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_where_it_is_declared(case: str) -> None:
    declare, said = REFUSED[case]
    with pytest.raises(PenstockError, match=said):
        declare()


def test_scores_and_values_are_part_of_the_contract_and_units_are_not() -> None:
    outputs = (
        Output("size", "regressor"),
        Output("size", "regressor", values=VALUES),
        Output("size", "regressor", values=VALUES[::-1]),
        Output("size", "classifier"),
        Output("size", "classifier", scores=True),
    )
    digests = [msgspec.structs.replace(CONTRACT, output=output).digest() for output in outputs]
    assert len(set(digests)) == len(outputs)
    units = tuple(msgspec.structs.replace(value, unit="l") for value in VALUES)
    same = msgspec.structs.replace(CONTRACT, output=Output("size", "regressor", values=units))
    assert same.digest() == digests[1]


def test_the_tank_model_is_as_before() -> None:
    assert tank_model(object).outcomes == ("overflows",)
