"""Estimators of other libraries, and what teams wrap around them, from the rows to a release."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from catboost import CatBoostClassifier
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import StackingClassifier, StackingRegressor, VotingRegressor
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder, StandardScaler
from xgboost import XGBClassifier, XGBRegressor

from penstock.artifact.load import load
from penstock.artifact.native import Artifact
from penstock.artifact.packing.pack import pack
from penstock.contract.contract import Feature
from penstock.errors import PenstockError, UnsupportedEstimator
from penstock.postgres.book import Book
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.card_text import markdown
from penstock.training.dry_run import demand_estimator
from penstock.training.fitting import fit
from penstock.training.frame import TrainingRows, feature_frame
from penstock.training.parity import PARITY, SINGLE_PARITY, ParityError, allowed_parity, demand_parity, own_predictions
from penstock.training.run import TrainingRun
from penstock.training.skew import Skew
from tests.engine.training.tanks import CONTRACT, rows_of, settings_in, tank_model, trained
from tests.slow import slow_after

NOTHING_DIFFERS = Skew(0, {}, {})


class ShareOfLate(ClassifierMixin, BaseEstimator):
    """What a team wrote itself."""

    def fit(self, x: Any, y: Any) -> "ShareOfLate":
        self.classes_, self.share_ = np.unique(y), np.array([1 - np.mean(y), np.mean(y)])
        return self

    def predict_proba(self, x: Any) -> Any:
        return np.tile(self.share_, (len(x), 1))


ESTIMATORS: dict[str, Callable[[], Any]] = {
    "LightGBM": lambda: LGBMClassifier(n_estimators=20, verbose=-1),
    "XGBoost": lambda: XGBClassifier(n_estimators=20, enable_categorical=True),
    "XGBoost, calibrated": lambda: CalibratedClassifierCV(XGBClassifier(n_estimators=5, enable_categorical=True), cv=2),
    "XGBoost, searched": lambda: GridSearchCV(XGBClassifier(enable_categorical=True), {"n_estimators": [2, 3]}, cv=2),
}


@pytest.mark.parametrize("kind", slow_after(1, ESTIMATORS))
def test_an_estimator_with_categories_becomes_a_release_that_is_packed(
    kind: str, book: Book, prod_book: Book, tmp_path: Path
) -> None:
    settings = settings_in(tmp_path)
    run = TrainingRun(settings, tank_model(ESTIMATORS[kind]), "2026-03")
    training, holdout = rows_of(settings, "2026-02"), rows_of(settings, "2026-03")
    made = run.train(training, holdout, NOTHING_DIFFERS, book, lambda _: None)
    run.release_to_test(made.proposal, book, who="me", why="test")
    entry = run.release_to_prod(made.proposal, book, prod_book, who="me", why="test")
    assert entry.gate["passed"]
    artifact = load(ArtifactStore(settings.artifacts).fetch(made.proposal.artifact, tmp_path / "cache"))
    assert type(artifact) is Artifact
    asked = {
        "inflow": np.zeros(3),
        "level": np.array([0.0, np.nan, 1.0]),
        "site": np.array(["north", None, "east"], object),
    }
    assert artifact.predict(asked).shape == (3, 2)


@pytest.mark.parametrize(
    ("estimator", "said"),
    [
        (
            lambda: CatBoostClassifier(cat_features=["inflow"], allow_writing_files=False),
            "cat_features must be integer",
        ),
        (lambda: LGBMClassifier(num_leaves=1, verbose=-1), "num_leaves"),
        (lambda: XGBClassifier(max_depth=-3, enable_categorical=True), "max_depth"),
    ],
)
def test_what_a_library_refuses_is_said_in_its_words(estimator: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(PenstockError, match=f"expected one that can be fitted.*found .*{said}"):
        trained(tmp_path, estimator, None)


def test_a_stack_that_ends_in_its_own_regression_is_let_through_before_it_is_fitted() -> None:
    stack = StackingClassifier([("gbm", LGBMClassifier())])
    assert not hasattr(stack, "predict_proba")
    demand_estimator(tank_model(lambda: stack))
    with pytest.raises(PenstockError, match="found Ridge without it"):
        demand_estimator(tank_model(Ridge))


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_a_category_that_only_the_held_out_rows_have_is_missing_to_both(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sites = np.array(["north", "south", None, "north"] * 50, dtype=object)
    trained = {"inflow": rng.normal(size=200), "level": rng.normal(size=200), "site": sites}
    late = (trained["inflow"] + 2 * (sites == "north") > 0).astype(float)
    asked = trained | {"site": np.array(["abroad", "south", None, "zone"] * 50, dtype=object)}
    model, frame = tank_model(ESTIMATORS[kind]), feature_frame(trained)
    estimator = model.estimator().fit(frame, late)
    pack(estimator, tmp_path / "m", features=CONTRACT.features, metadata={}, fallback=False)
    expected = own_predictions(model, estimator, TrainingRows(asked, late), frame)
    assert np.array_equal(load(tmp_path / "m").predict(asked), expected)
    assert not np.array_equal(load(tmp_path / "m").predict(trained), expected)


ENCODED: dict[str, Any] = {
    "terms": (CountVectorizer(), "site"),
    "codes": (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=7), ["site"]),
}


@pytest.mark.parametrize("kind", ENCODED)
def test_a_text_that_a_step_before_xgboost_encodes_is_the_text_that_was_not_seen(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sites = np.array(["north sea", "south", "south", "north sea"] * 50, dtype=object)
    if kind == "codes":
        sites[:20] = None
    trained = {"inflow": rng.normal(size=200), "level": rng.normal(size=200), "site": sites}
    late = (trained["inflow"] + 2 * (sites == "south") > 0).astype(float)
    asked = trained | {"site": np.array(["abroad", "the south"] * 100, dtype=object)}
    steps = make_column_transformer(ENCODED[kind], remainder="passthrough")
    model = tank_model(lambda: make_pipeline(steps, XGBClassifier(n_estimators=20)))
    estimator = model.estimator().fit(feature_frame(trained), late)
    pack(estimator, tmp_path / "m", features=CONTRACT.features, metadata={}, fallback=False)
    expected = own_predictions(model, estimator, TrainingRows(asked, late), feature_frame(trained))
    assert np.array_equal(load(tmp_path / "m").predict(asked), expected)


def test_what_answers_in_float32_is_compared_in_float32() -> None:
    assert allowed_parity(XGBRegressor(), np.zeros(2, np.float32)) == SINGLE_PARITY
    assert allowed_parity(Ridge(), np.zeros(2)) == PARITY


def test_a_vote_in_float64_around_a_function_in_float32_is_compared_in_float32(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(200, 3))
    target = np.sinh(3 * matrix[:, 0] + rng.normal(size=200))
    curved = {"func": np.arcsinh, "inverse_func": np.sinh}
    in_single = TransformedTargetRegressor(XGBRegressor(n_estimators=9), **curved)
    vote = VotingRegressor([("curved", in_single), ("line", Ridge())]).fit(matrix, target)
    pack(vote, tmp_path / "m", features=[Feature(name, "number") for name in "abc"], metadata={}, fallback=False)
    artifact, expected = load(tmp_path / "m"), vote.predict(matrix)
    assert expected.dtype == np.float64
    asked = dict(zip("abc", matrix.T.copy(), strict=True))
    found = artifact.predict(asked)
    assert demand_parity(artifact, found, expected, allowed_parity(vote, expected)) <= SINGLE_PARITY
    with pytest.raises(ParityError, match=r"in float32 around XGBoost, .* can be the cause"):
        demand_parity(artifact, found + 1.0, expected, SINGLE_PARITY)
    scaled = TransformedTargetRegressor(XGBRegressor(), transformer=StandardScaler())
    in_double = TransformedTargetRegressor(LGBMRegressor(), **curved)
    exact = VotingRegressor([("scaled", scaled), ("double", in_double)])
    assert allowed_parity(exact, expected) == PARITY
    steps = make_pipeline(StandardScaler(), FunctionTransformer(**curved))
    stack = StackingRegressor([("a", XGBRegressor(n_estimators=2)), ("b", XGBRegressor(n_estimators=4))], cv=2)
    vote = VotingRegressor([("stack", stack), ("line", Ridge())]).fit(matrix, target)
    pack(vote, tmp_path / "m", features=[Feature(name, "number") for name in "abc"], metadata={}, fallback=False)
    found, expected = load(tmp_path / "m").predict(asked), vote.predict(matrix)
    assert demand_parity(load(tmp_path / "m"), found, expected, allowed_parity(vote, expected)) <= SINGLE_PARITY
    inside = StackingRegressor([("t", TransformedTargetRegressor(XGBRegressor(), transformer=steps))])
    assert allowed_parity(inside, expected) == SINGLE_PARITY


def test_values_far_from_one_are_compared_as_shares(tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).normal(size=(50, 2))
    ridge = Ridge().fit(matrix, 1e9 * matrix[:, 0])
    pack(ridge, tmp_path / "m", features=[Feature("a", "number"), Feature("b", "number")], metadata={})
    artifact, expected = load(tmp_path / "m"), ridge.predict(matrix)
    assert demand_parity(artifact, expected + 1e-6, expected, PARITY) <= PARITY
    with pytest.raises(ParityError, match=r"within 1e-12"):
        demand_parity(artifact, expected + 1.0, expected, PARITY)


def test_what_can_not_be_released_is_refused_before_rows_are_read(book: Book, tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    run = TrainingRun(settings, tank_model(ShareOfLate), "2026-03")
    training, holdout = rows_of(settings, "2026-02"), rows_of(settings, "2026-03")
    said: list[str] = []
    with pytest.raises(UnsupportedEstimator, match=r"ShareOfLate is not packed.*trusted_types"):
        run.train(training, holdout, NOTHING_DIFFERS, book, said.append)
    assert said == []


def test_types_that_a_model_trusts_are_shown_in_card_and_ledger(book: Book, prod_book: Book, tmp_path: Path) -> None:
    own = f"{__name__}.ShareOfLate"
    settings = settings_in(tmp_path)
    run = TrainingRun(settings, replace(tank_model(ShareOfLate, slice_by=""), trusted_types=(own,)), "2026-03")
    training, holdout = rows_of(settings, "2026-02"), rows_of(settings, "2026-03")
    made = run.train(training, holdout, NOTHING_DIFFERS, book, lambda _: None)
    entry = run.release_to_test(made.proposal, book, who="me", why="test")
    assert entry.metrics["trusted_types"] == own
    assert (made.card.packed, made.card.trusted_types, made.card.library) == (False, (own,), "scikit-learn")
    assert f"which is slower: one row alone takes about {made.card.us_per_row:,.0f} us." in markdown(made.card, entry)
    assert f"whose code runs in every replica: {own}" in markdown(made.card, entry)


def test_catboost_reads_a_feature_as_a_text_from_the_fit_to_the_answer(tmp_path: Path) -> None:
    told: dict[str, Any] = {"iterations": 8, "verbose": 0, "allow_writing_files": False, "text_features": ["site"]}
    told["text_processing"] = WORDS
    made, artifact = trained(tmp_path, lambda: CatBoostClassifier(**told), None)
    assert artifact.fallback.library == "CatBoost"
    assert made.parity == 0
    asked = {"inflow": np.zeros(4), "level": np.zeros(4)}
    asked["site"] = np.array(["south", "abroad", None, ""], dtype=object)
    found = artifact.predict(asked)
    assert found.shape == (4, 2)
    assert np.array_equal(found[2], found[3])
    frame, late = feature_frame(TEXTS), (TEXTS["inflow"] > 0).astype(float)
    model = tank_model(lambda: CatBoostClassifier(**told))
    fitted = fit(model, model.estimator(), frame, TrainingRows(TEXTS, late)).estimator
    assert own_predictions(model, fitted, TrainingRows(TEXTS, late), frame).shape == (400, 2)


WORDS = {
    "dictionaries": [{"dictionary_id": "Word", "gram_order": "1"}],
    "feature_processing": {"default": [{"dictionaries_names": ["Word"], "feature_calcers": ["BoW"]}]},
}
TEXTS = {
    "inflow": np.random.default_rng(0).normal(size=400),
    "level": np.zeros(400),
    "site": np.array(["north sea", "south", None, "north"] * 100, dtype=object),
}
