"""Contributions of features: those of the shap package on the same models, and they add up to the raw score."""

import warnings
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    BaggingRegressor,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from penstock.artifact.explaining.explainer import Explanation
from penstock.artifact.load import load
from penstock.artifact.packing.pack import pack
from penstock.errors import ArtifactError
from tests.engine.artifact.random_models import (
    frame_columns,
    frame_features,
    matrix_columns,
    matrix_features,
    numbers,
    packed,
)

ROWS = 300
TREES: dict[str, Any] = {
    "tree": DecisionTreeRegressor(max_depth=5),
    "tree of classes": DecisionTreeClassifier(max_depth=4),
    "forest": RandomForestRegressor(7, max_depth=None),
    "forest of classes": RandomForestClassifier(6, max_leaf_nodes=20),
    "extra trees": ExtraTreesClassifier(5, max_depth=6),
    "boosting": GradientBoostingRegressor(n_estimators=12),
    "boosting of classes": GradientBoostingClassifier(n_estimators=9),
    "histograms": HistGradientBoostingRegressor(max_iter=12),
    "histograms of classes": HistGradientBoostingClassifier(max_iter=9),
    "lightgbm": lightgbm.LGBMRegressor(n_estimators=15, verbose=-1),
    "lightgbm, zero as missing": lightgbm.LGBMRegressor(n_estimators=15, zero_as_missing=True, verbose=-1),
    "lightgbm of classes": lightgbm.LGBMClassifier(n_estimators=8, verbose=-1),
    "xgboost": xgboost.XGBRegressor(n_estimators=12, max_depth=4),
    "xgboost of classes": xgboost.XGBClassifier(n_estimators=8, max_depth=3),
}
CLASSES = {name: ((1, 2), (2, 3)) for name in TREES if "classes" in name} | {
    "extra trees": ((1, 2), (2, 3)),
    "boosting of classes": ((1, 2), (2, 2)),  # shap takes no more than two
}


def rows_of(seed: int, *, missing: float = 0.0) -> np.ndarray:
    return numbers(np.random.default_rng(seed), ROWS, 5, missing=missing)


def outcome(matrix: np.ndarray, classes: int = 0) -> np.ndarray:
    rng = np.random.default_rng(1)
    target = np.nan_to_num(matrix[:, 0]) * 2 + np.sign(np.nan_to_num(matrix[:, 1])) + 0.3 * rng.normal(size=len(matrix))
    return np.digitize(target, np.quantile(target, np.linspace(0, 1, classes + 1)[1:-1])) if classes else target


def adds_up(found: Explanation) -> bool:
    return np.allclose(found.base + found.contributions.sum(axis=2), found.scores, rtol=0, atol=1e-9)


@cache
def shap() -> Any:
    """The package. It takes seconds to import, which every process of the tests would pay while it collects them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return import_module("shap")


def by_shap(model: Any, matrix: np.ndarray) -> np.ndarray:
    """The package's values (n, outputs, columns), by its own code and in float64 for every library."""
    if getattr(model, "zero_as_missing", False):  # the package does not know of it; it would ask LightGBM as well
        return model.predict(matrix, pred_contrib=True)[:, None, :-1]
    explainer = shap().TreeExplainer(model, feature_perturbation="tree_path_dependent")
    explainer.model.model_type = "internal"
    values = np.asarray(explainer.shap_values(matrix, check_additivity=False))
    return values[:, None, :] if values.ndim == 2 else values.transpose(0, 2, 1)


@pytest.mark.parametrize("name", TREES)
def test_contributions_of_trees_are_those_of_shap(name: str, tmp_path: Path) -> None:
    seeds = CLASSES.get(name, ((1, 0), (2, 0)))
    assert seeds
    for seed, classes in seeds:
        matrix = rows_of(seed, missing=0.1 if "boosting" not in name else 0.0)
        if "extra" in name:
            matrix = np.nan_to_num(matrix)
        model = TREES[name].fit(matrix, outcome(matrix, classes))
        asked = matrix[:25]
        expected = by_shap(model, asked)
        for artifact in packed(model, tmp_path, matrix_features(matrix), matrix_columns(matrix)):
            found = artifact.explain(matrix_columns(asked))
            assert found.method == "exact"
            assert np.array_equal(found.scores, artifact.raw(matrix_columns(asked)))
            assert adds_up(found)
            assert found.contributions.shape == expected.shape
            scale = max(1.0, float(np.abs(expected).max()))
            assert np.abs(found.contributions - expected).max() <= 1e-9 * scale


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost", "histograms"])
def test_columns_of_categories_count_for_their_feature_as_the_library_says(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"place": rng.choice(list("abcdefgh"), ROWS), "size": rng.normal(size=ROWS)})
    frame.loc[rng.random(ROWS) < 0.1, "size"] = np.nan
    target = (frame["place"].isin(["a", "d", "g"]) * 2.0 + frame["size"].fillna(1.0)).to_numpy()
    frame["place"] = frame["place"].astype("category")
    models = {
        "lightgbm": lightgbm.LGBMRegressor(n_estimators=10, verbose=-1, min_data_per_group=1, cat_smooth=0),
        "xgboost": xgboost.XGBRegressor(n_estimators=10, enable_categorical=True, max_cat_to_onehot=2),
        "histograms": HistGradientBoostingRegressor(max_iter=10, categorical_features="from_dtype"),
    }
    model = models[kind].fit(frame, target)
    for artifact in packed(model, tmp_path, frame_features(frame), frame_columns(frame)):
        found = artifact.explain(frame_columns(frame.head(20)))
        assert found.method == "exact"
        assert adds_up(found)
        if kind == "lightgbm":
            said = model.predict(frame.head(20), pred_contrib=True)
            assert np.allclose(found.contributions[:, 0], said[:, :-1], rtol=0, atol=1e-9)
        elif kind == "xgboost":  # in float32
            said = model.get_booster().predict(
                xgboost.DMatrix(frame.head(20), enable_categorical=True), pred_contribs=True
            )
            assert np.allclose(found.contributions[:, 0], said[:, :-1], rtol=0, atol=1e-5)
        else:
            assert np.abs(found.contributions).min(axis=0).max() > 0.01


@pytest.mark.slow
def test_a_deep_forest_adds_up(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    matrix = rng.normal(size=(3000, 30))
    model = RandomForestRegressor(3, max_features=3, random_state=0).fit(matrix, rng.normal(size=3000))
    assert max(tree.get_depth() for tree in model.estimators_) > 20
    for artifact in packed(model, tmp_path, matrix_features(matrix), matrix_columns(matrix)):
        assert adds_up(artifact.explain(matrix_columns(matrix[:3] + 0.1)))


@pytest.mark.parametrize("estimator", [LinearRegression(), LogisticRegression(max_iter=2000)])
def test_contributions_of_linear_models_are_those_of_shap(estimator: Any, tmp_path: Path) -> None:
    matrix = rows_of(5)
    counts = (0,) if isinstance(estimator, LinearRegression) else (2, 3)
    assert counts
    for classes in counts:
        model = estimator.fit(matrix, outcome(matrix, classes))
        expected = np.asarray(
            shap().LinearExplainer(model, shap().maskers.Independent(matrix, ROWS)).shap_values(matrix[:9])
        )
        expected = expected[:, None] if expected.ndim == 2 else expected.transpose(0, 2, 1)
        for artifact in packed(model, tmp_path, matrix_features(matrix), matrix_columns(matrix)):
            found = artifact.explain(matrix_columns(matrix[:9]))
            assert found.method == "exact"
            assert adds_up(found)
            assert np.abs(found.contributions - expected).max() <= 1e-9 * max(1.0, np.abs(expected).max())


def test_encoded_columns_are_added_up_to_their_feature(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    frame = pd.DataFrame({"place": rng.choice(list("abcd"), ROWS), "size": rng.normal(size=ROWS)})
    target = (frame["place"] == "b") * 1.0 + frame["size"]
    steps = ColumnTransformer([("place", OneHotEncoder(), ["place"]), ("size", StandardScaler(), ["size"])])
    for last in (GradientBoostingRegressor(n_estimators=20), Ridge()):
        model = make_pipeline(steps, last).fit(frame, target)
        made = model[:-1].transform(frame)
        if isinstance(last, Ridge):
            expected = shap().LinearExplainer(model[-1], shap().maskers.Independent(made, ROWS)).shap_values(made[:9])
        else:
            expected = by_shap(model[-1], made[:9])[:, 0]
        summed = np.column_stack([expected[:, :4].sum(axis=1), expected[:, 4]])
        for artifact in packed(model, tmp_path, frame_features(frame), frame_columns(frame)):
            found = artifact.explain(frame_columns(frame.head(9)))
            assert found.method == "exact"
            assert adds_up(found)
            assert np.allclose(found.contributions[:, 0], summed, rtol=0, atol=1e-9)


@pytest.mark.slow
def test_what_mixes_features_is_explained_by_comparison_as_shap_does(tmp_path: Path) -> None:
    matrix = np.random.default_rng(7).normal(size=(100, 4))
    model = make_pipeline(PCA(3), GradientBoostingRegressor(n_estimators=10)).fit(matrix, matrix[:, 0] * matrix[:, 1])
    expected = shap().explainers.Exact(model.predict, shap().maskers.Independent(matrix, 100))(matrix[:4]).values
    for artifact in packed(model, tmp_path, matrix_features(matrix), matrix_columns(matrix)):
        found = artifact.explain(matrix_columns(matrix[:4]))
        assert found.method == "interventional"
        assert adds_up(found)
        assert np.allclose(found.contributions[:, 0], expected, rtol=0, atol=1e-9)


def test_a_calibrated_classifier_is_explained_by_what_it_calibrates(tmp_path: Path) -> None:
    matrix = rows_of(9)
    target = outcome(matrix, 2)
    for base in (HistGradientBoostingClassifier(max_iter=5), lightgbm.LGBMClassifier(n_estimators=5, verbose=-1)):
        model = CalibratedClassifierCV(base, cv=3).fit(matrix, target)
        each = [by_shap(one.estimator, matrix[:9])[:, -1] for one in model.calibrated_classifiers_]
        for artifact in packed(model, tmp_path, matrix_features(matrix), matrix_columns(matrix)):
            found = artifact.explain(matrix_columns(matrix[:9]))
            assert found.method == "exact"
            assert adds_up(found)
            assert np.allclose(found.contributions[:, 0], np.mean(each, axis=0), rtol=0, atol=1e-9)


def test_averages_of_trees_and_linear_models_are_averages_of_contributions(tmp_path: Path) -> None:
    matrix = rows_of(10)
    target = outcome(matrix)
    members = [("trees", HistGradientBoostingRegressor(max_iter=5)), ("line", Ridge())]
    for model in (VotingRegressor(members, weights=[3, 1]), StackingRegressor(members, Ridge()), BaggingRegressor()):
        model.fit(matrix, target)
        for artifact in packed(model, tmp_path, matrix_features(matrix), matrix_columns(matrix)):
            found = artifact.explain(matrix_columns(matrix[:9]))
            assert found.method == "exact"
            assert adds_up(found)
            assert np.allclose(found.scores[:, 0], model.predict(matrix[:9]))
    model = VotingRegressor(members, weights=[3, 1]).fit(matrix, target)
    trees, line = (member for member in model.estimators_)
    of_line = shap().LinearExplainer(line, shap().maskers.Independent(matrix, ROWS)).shap_values(matrix[:9])
    expected = (3 * by_shap(trees, matrix[:9])[:, 0] + of_line) / 4
    [found, *_] = [
        one.explain(matrix_columns(matrix[:9]))
        for one in packed(model, tmp_path, matrix_features(matrix), matrix_columns(matrix))
    ]
    assert np.allclose(found.contributions[:, 0], expected, rtol=0, atol=1e-9)


def test_an_average_of_probabilities_that_boosting_made_is_explained_by_comparison(tmp_path: Path) -> None:
    matrix = rows_of(11)
    members = [("boosting", HistGradientBoostingClassifier(max_iter=5)), ("line", LogisticRegression())]
    model = VotingClassifier(members, voting="soft").fit(matrix, outcome(matrix, 2))
    for artifact in packed(model, tmp_path, matrix_features(matrix), matrix_columns(matrix)):
        found = artifact.explain(matrix_columns(matrix[:5]))
        assert found.method == "interventional"
        assert adds_up(found)
        assert np.allclose(found.scores, model.predict_proba(matrix[:5]))


def test_a_file_without_covers_says_what_to_do_and_is_as_it_was(tmp_path: Path) -> None:
    matrix = rows_of(12)
    model = HistGradientBoostingRegressor(max_iter=5).fit(matrix, matrix[:, 0])
    pack(model, tmp_path / "model", features=matrix_features(matrix), metadata={})
    plain = load(tmp_path / "model")
    assert not plain.explains
    with pytest.raises(ArtifactError, match=r"covers of nodes.*explain=True"):
        plain.explain(matrix_columns(matrix))
    stored = load(Path(__file__).parent / "stored" / "v1_hist.artifact")
    with pytest.raises(ArtifactError, match="explain=True"):
        stored.explain({})
