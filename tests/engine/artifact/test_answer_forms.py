"""Classifiers without probabilities answer their label and scores, regressors with several outputs their values."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostRegressor
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.cross_decomposition import PLSRegression
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression, Perceptron, Ridge, RidgeClassifier, SGDClassifier
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import MultiOutputRegressor, RegressorChain
from sklearn.neighbors import KNeighborsRegressor, NearestCentroid
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from xgboost import XGBClassifier, XGBRegressor

from penstock.artifact.load import load
from penstock.artifact.native import Artifact, Engine
from penstock.artifact.packing.pack import pack
from penstock.artifact.scores import own_scores
from penstock.contract.contract import Feature
from penstock.errors import UnsupportedEstimator
from tests.engine.artifact.random_models import ENGINES

NAMES = ("a", "b", "c", "d")
FEATURES = tuple(Feature(name, "number") for name in NAMES)


def members() -> list[tuple[str, Any]]:
    return [
        ("linear", LinearSVC()),
        ("tree", DecisionTreeClassifier(max_depth=3, random_state=0)),
        ("forest", RandomForestClassifier(5, random_state=0)),
        ("hist", HistGradientBoostingClassifier(max_iter=5)),
        ("lightgbm", LGBMClassifier(n_estimators=5, verbose=-1)),
        ("xgboost", XGBClassifier(n_estimators=5)),
        ("logistic", make_pipeline(StandardScaler(), LogisticRegression())),
        ("left out", "drop"),
    ]


SCORED: dict[str, Callable[[], Any]] = {
    "LinearSVC": LinearSVC,
    "RidgeClassifier": RidgeClassifier,
    "Perceptron": lambda: make_pipeline(StandardScaler(), Perceptron()),
    "SGDClassifier": lambda: SGDClassifier(loss="hinge", random_state=0),
    "a search": lambda: GridSearchCV(LinearSVC(), {"C": [0.1, 1.0]}),
    "a vote": lambda: VotingClassifier(members()),
    "a weighted vote": lambda: VotingClassifier(members(), weights=[1, 0.3, 0.2, 0.7, 0.1, 0.4, 0.6, 9]),
    "a stack": lambda: StackingClassifier([("a", LogisticRegression())], final_estimator=LinearSVC()),
}
STORED: dict[str, Callable[[], Any]] = {
    "SVC": SVC,
    "OneVsRestClassifier": lambda: OneVsRestClassifier(LinearSVC()),
    "OutputCodeClassifier": lambda: OutputCodeClassifier(LinearSVC(), random_state=0),
    "NearestCentroid": lambda: NearestCentroid(metric="manhattan"),
    "a vote": lambda: VotingClassifier([("a", SVC()), ("b", LinearSVC()), ("c", Perceptron())], weights=[1, 2, 0.5]),
}
THRESHOLDS: dict[str, Callable[[], Any]] = {
    "of the second": lambda: FixedThresholdClassifier(LinearSVC(), threshold=0.3),
    "of the first": lambda: FixedThresholdClassifier(RidgeClassifier(), threshold=0.3, pos_label=0),
    "auto": lambda: make_pipeline(FixedThresholdClassifier(LinearSVC())),
    "tuned": lambda: TunedThresholdClassifierCV(LinearSVC()),
    "stored": lambda: FixedThresholdClassifier(SVC(), threshold=0.3),
}
PACKED_VALUES: dict[str, Callable[[], Any]] = {
    "a tree": lambda: DecisionTreeRegressor(max_depth=5, random_state=0),
    "a forest": lambda: RandomForestRegressor(9, random_state=0),
    "Ridge": Ridge,
    "PLSRegression": PLSRegression,
    "MLPRegressor": lambda: MLPRegressor(hidden_layer_sizes=(8, 4), max_iter=20, random_state=0),
    "LightGBM": lambda: MultiOutputRegressor(LGBMRegressor(n_estimators=9, verbose=-1)),
    "XGBoost": lambda: XGBRegressor(n_estimators=9),
    "XGBoost for each": lambda: MultiOutputRegressor(XGBRegressor(n_estimators=9)),
    "CatBoost": lambda: CatBoostRegressor(
        iterations=9, loss_function="MultiRMSE", verbose=0, allow_writing_files=False
    ),
}
QUANTILES: dict[str, Callable[[], Any]] = {
    "XGBoost": lambda: XGBRegressor(n_estimators=5, objective="reg:quantileerror", quantile_alpha=[0.1, 0.5, 0.9]),
    "CatBoost": lambda: CatBoostRegressor(
        iterations=9, loss_function="MultiQuantile:alpha=0.1,0.5,0.9", verbose=0, allow_writing_files=False
    ),
}
STORED_VALUES: dict[str, Callable[[], Any]] = {
    "KNeighborsRegressor": lambda: KNeighborsRegressor(algorithm="brute"),
    "RegressorChain": lambda: RegressorChain(Ridge()),
}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    random = np.random.default_rng(1)
    return pd.DataFrame(random.normal(size=(700, 4)), columns=list(NAMES))


def asked(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows that were not fitted, and round numbers, on which votes are equal."""
    return pd.concat([rows[500:], rows[:50].round(), rows[:1] * 0.0], ignore_index=True)


def classes_of(rows: pd.DataFrame, count: int) -> Any:
    value = rows["a"] + 0.5 * rows["b"]
    return np.digitize(value, np.quantile(value, np.linspace(0, 1, count + 1)[1:-1])).astype(np.float64)


def packed(estimator: Any, folder: Path, engine: Engine = "auto") -> Artifact:
    pack(estimator, folder / "model", features=FEATURES, metadata={})
    return load(folder / "model", engine=engine)


def columns(rows: pd.DataFrame) -> dict[str, Any]:
    return {name: rows[name].to_numpy() for name in NAMES}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("name", SCORED)
def test_a_packed_classifier_answers_label_and_scores(
    name: str, count: int, engine: Engine, rows: pd.DataFrame, tmp_path: Path
) -> None:
    estimator = SCORED[name]().fit(rows[:500], classes_of(rows[:500], count))
    artifact, given = packed(estimator, tmp_path, engine), asked(rows)
    found = artifact.predict(columns(given))
    assert artifact.fallback is None
    assert artifact.scores
    assert found.shape == (len(given), 2 if count == 2 else 1 + count)
    assert found[:, 0].tolist() == estimator.predict(given).tolist()
    expected = own_scores(estimator, given)
    np.testing.assert_allclose(found[:, 1:], expected[:, 1:], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("name", STORED)
def test_a_stored_classifier_answers_its_own_label_and_scores(
    name: str, count: int, rows: pd.DataFrame, tmp_path: Path
) -> None:
    estimator = STORED[name]().fit(rows[:500], classes_of(rows[:500], count))
    artifact, given = packed(estimator, tmp_path), asked(rows)
    found = artifact.predict(columns(given))
    assert artifact.fallback is not None
    assert found[:, 0].tolist() == estimator.predict(given).tolist()
    assert found.shape == (len(given), 2 if count == 2 else 1 + count)
    if count > 2 and hasattr(estimator, "decision_function"):
        np.testing.assert_allclose(found[:, 1:], estimator.decision_function(given), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", THRESHOLDS)
def test_a_threshold_on_scores_decides_the_label(name: str, rows: pd.DataFrame, tmp_path: Path) -> None:
    estimator = THRESHOLDS[name]().fit(rows[:500], classes_of(rows[:500], 2))
    given = asked(rows)
    found = packed(estimator, tmp_path).predict(columns(given))
    assert found[:, 0].tolist() == estimator.predict(given).tolist()
    assert 0 < found[:, 0].sum() < len(found)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", PACKED_VALUES)
def test_a_packed_regressor_answers_several_values(
    name: str, engine: Engine, rows: pd.DataFrame, tmp_path: Path
) -> None:
    outcome = np.column_stack([rows["a"] * 2 + rows["b"], rows["c"] ** 2, rows["d"] > 0]).astype(np.float64)
    estimator = PACKED_VALUES[name]().fit(rows[:500], outcome[:500])
    artifact, given = packed(estimator, tmp_path, engine), asked(rows)
    found = artifact.predict(columns(given))
    assert artifact.fallback is None
    assert artifact.outputs == 3
    if name in ("Ridge", "PLSRegression", "MLPRegressor"):
        np.testing.assert_allclose(found, estimator.predict(given), rtol=1e-12, atol=1e-12)
    else:
        assert found.tolist() == estimator.predict(given).astype(np.float64).tolist()


@pytest.mark.parametrize("name", STORED_VALUES)
def test_a_stored_regressor_answers_several_values(name: str, rows: pd.DataFrame, tmp_path: Path) -> None:
    outcome = np.column_stack([rows["a"] * 2 + rows["b"], rows["c"] ** 2])
    estimator = STORED_VALUES[name]().fit(rows[:500], outcome[:500])
    given = asked(rows)
    artifact = packed(estimator, tmp_path)
    assert artifact.fallback is not None
    np.testing.assert_allclose(artifact.predict(columns(given)), estimator.predict(given), rtol=1e-12, atol=1e-12)
    assert artifact.predict(columns(given[:0])).shape == (0, 2)


@pytest.mark.parametrize("name", QUANTILES)
def test_quantiles_of_one_outcome_are_packed_too(name: str, rows: pd.DataFrame, tmp_path: Path) -> None:
    estimator = QUANTILES[name]().fit(rows[:500], rows["a"][:500] * 2)
    artifact, given = packed(estimator, tmp_path), asked(rows)
    assert artifact.fallback is None
    assert artifact.predict(columns(given)).tolist() == estimator.predict(given).astype(np.float64).tolist()


def test_an_output_that_is_no_prediction_is_refused(rows: pd.DataFrame, tmp_path: Path) -> None:
    estimator = CatBoostRegressor(
        iterations=3, loss_function="RMSEWithUncertainty", verbose=0, allow_writing_files=False
    ).fit(rows[:500], rows["a"][:500])
    with pytest.raises(UnsupportedEstimator, match="a loss of MultiRMSE, MultiQuantile, found RMSEWithUncertainty"):
        packed(estimator, tmp_path)
