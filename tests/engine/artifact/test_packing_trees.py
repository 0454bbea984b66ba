"""Trees, forests and gradient boosting: the same leaves and the same raw scores, bit for bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

from penstock.errors import ContractError
from tests.engine.artifact.random_models import matrix_columns, matrix_features, near, numbers, packed, same, ulps
from tests.slow import slow_after

AVERAGED = [
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
]


def random_model(kind: type, rng: np.random.Generator) -> tuple[Any, np.ndarray]:
    """A fitted model of random shape and the matrix it was fitted on."""
    rows = int(rng.integers(2, 120))
    classes = int(rng.integers(2, 5))
    allow_nan = rng.random() < 0.5 and "GradientBoosting" not in kind.__name__
    matrix = numbers(rng, rows, int(rng.integers(1, 6)), missing=0.15 if allow_nan else 0.0)
    target = np.nan_to_num(matrix[:, 0]) + 0.3 * rng.normal(size=rows)
    if "Classifier" in kind.__name__:
        target = np.digitize(target, np.quantile(target, np.linspace(0, 1, classes + 1)[1:-1]))
        target[:2] = [0, 1]
    options: dict[str, Any] = {"max_depth": rng.choice([None, 1, 3]), "random_state": int(rng.integers(1000))}
    if rng.random() < 0.4:
        options |= {"max_leaf_nodes": int(rng.integers(2, 20)), "max_depth": None}
    if "Forest" in kind.__name__ or "Trees" in kind.__name__ or "Boosting" in kind.__name__:
        options["n_estimators"] = int(rng.integers(1, 8))
    if kind is GradientBoostingClassifier:
        options |= {"loss": "exponential" if target.max() < 2 and rng.random() < 0.5 else "log_loss"}
    if kind is GradientBoostingRegressor:
        options |= {"loss": str(rng.choice(["squared_error", "absolute_error", "huber", "quantile"]))}
    if "Boosting" in kind.__name__ and rng.random() < 0.3:
        options["init"] = "zero"
    return kind(**options).fit(matrix, target), matrix


def thresholds_of(model: Any) -> np.ndarray:
    members = np.ravel(getattr(model, "estimators_", [model]))
    made = np.concatenate([tree.tree_.threshold[tree.tree_.feature >= 0] for tree in members])
    return made[np.isfinite(made)]


@pytest.mark.parametrize("kind", slow_after(4, AVERAGED))
def test_averaged_trees_reach_the_same_leaves_and_the_same_predictions(kind: type, tmp_path: Path) -> None:
    for seed in range(25):
        rng = np.random.default_rng(seed)
        model, matrix = random_model(kind, rng)
        for rows in (64, 1):
            asked = near(rng, matrix, thresholds_of(model), rows)
            expected = model.predict(asked) if "Regressor" in kind.__name__ else model.predict_proba(asked)
            for artifact in packed(model, tmp_path, matrix_features(matrix)):
                columns = matrix_columns(asked)
                assert same(artifact.leaves(columns), model.apply(asked).reshape(rows, -1)), (seed, artifact)
                assert same(artifact.predict(columns), expected), (seed, artifact)
                assert same(artifact.raw(columns), expected.reshape(rows, -1))


@pytest.mark.parametrize("kind", [GradientBoostingClassifier, GradientBoostingRegressor])
def test_gradient_boosting_gives_the_same_raw_scores_bit_for_bit(kind: type, tmp_path: Path) -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        model, matrix = random_model(kind, rng)
        asked = near(rng, matrix, thresholds_of(model), 50)
        for artifact in packed(model, tmp_path, matrix_features(matrix)):
            columns = matrix_columns(asked)
            assert same(artifact.leaves(columns), model.apply(asked).reshape(50, -1))
            if kind is GradientBoostingRegressor:
                assert same(artifact.predict(columns), model.predict(asked))
                continue
            assert same(artifact.raw(columns), model.decision_function(asked).reshape(50, -1))
            # The same libm exponential as scipy's for two classes; numpy's own in softmax rounds otherwise.
            apart = ulps(artifact.predict(columns), model.predict_proba(asked))
            assert apart == 0 if len(model.classes_) == 2 else apart <= 8


def test_no_rows_give_no_predictions(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for kind in (RandomForestClassifier, GradientBoostingRegressor):
        model, matrix = random_model(kind, rng)
        for artifact in packed(model, tmp_path, matrix_features(matrix)):
            found = artifact.predict(matrix_columns(matrix[:0]))
            assert found.shape == ((0, len(model.classes_)) if hasattr(model, "classes_") else (0,))


def test_what_scikit_learn_refuses_is_refused_by_the_name_of_the_column(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    matrix = rng.normal(size=(50, 3))
    model = GradientBoostingRegressor(n_estimators=2).fit(matrix, matrix[:, 0])
    for bad in (np.nan, np.inf, -np.inf, 1e300):
        asked = matrix[:5].copy()
        asked[2, 1] = bad
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            model.predict(asked)
        for artifact in packed(model, tmp_path, matrix_features(matrix)):
            with pytest.raises(ContractError, match="'x1'"):
                artifact.predict(matrix_columns(asked))


def test_a_forest_takes_nan_where_scikit_learn_does_but_never_infinity(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=(50, 2))
    model = RandomForestClassifier(n_estimators=3).fit(matrix, matrix[:, 0] > 0)
    asked = np.array([[np.nan, 0.0], [0.0, np.nan]])
    for artifact in packed(model, tmp_path, matrix_features(matrix)):
        assert same(artifact.predict(matrix_columns(asked)), model.predict_proba(asked))
        with pytest.raises(ContractError, match="'x0'"):
            artifact.predict(matrix_columns(np.array([[np.inf, 0.0]])))


@pytest.mark.parametrize("kind", [DecisionTreeRegressor, ExtraTreesRegressor])
def test_trees_behind_a_sparse_matrix_take_no_nan_as_in_scikit_learn(kind: Any, tmp_path: Path) -> None:
    matrix = np.random.default_rng(3).integers(0, 3, size=(60, 2)).astype(float)
    asked = matrix[:3].copy()
    asked[1, 0] = np.nan
    for threshold in (0.0, 1.0):
        encoded = make_column_transformer((OneHotEncoder(), [1]), ("passthrough", [0]), sparse_threshold=threshold)
        model = make_pipeline(encoded, kind(random_state=0)).fit(matrix, matrix[:, 0])
        for artifact in packed(model, tmp_path, matrix_features(matrix)):
            if not threshold:
                assert same(artifact.predict(matrix_columns(asked)), model.predict(asked))
                continue
            with pytest.raises(ValueError, match="contains NaN"):
                model.predict(asked)
            with pytest.raises(ContractError, match=r"'x0': expected a finite number, found nan"):
                artifact.predict(matrix_columns(asked))
