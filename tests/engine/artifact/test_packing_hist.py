"""Histogram gradient boosting: missing values, infinities, categories and every loss, bit for bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from penstock.contract.contract import Feature
from penstock.errors import ContractError
from tests.engine.artifact.random_models import (
    frame_columns,
    frame_features,
    matrix_columns,
    matrix_features,
    near,
    numbers,
    packed,
    same,
    ulps,
)

LOSSES = ["squared_error", "absolute_error", "poisson", "gamma", "quantile"]
NAMES = ["", "a", "b", "ä", "snow", "B", "a ", "日本"]


def options(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "max_iter": int(rng.integers(1, 12)),
        "min_samples_leaf": int(rng.integers(1, 10)),
        "max_leaf_nodes": int(rng.integers(2, 20)),
        "max_bins": int(rng.integers(20, 256)),
        "early_stopping": bool(rng.random() < 0.2),
        "random_state": int(rng.integers(1000)),
    }


def fitted(rng: np.random.Generator, matrix: Any, score: np.ndarray, **more: Any) -> Any:
    """A classifier of two to four classes, or a regressor with one of the losses."""
    if rng.random() < 0.5:
        classes = int(rng.integers(2, 5))
        target = np.digitize(score, np.quantile(score, np.linspace(0, 1, classes + 1)[1:-1]))
        return HistGradientBoostingClassifier(**options(rng), **more).fit(matrix, target)
    loss = str(rng.choice(LOSSES))
    more |= {"quantile": 0.7} if loss == "quantile" else {}
    target = np.exp(np.clip(score, -5, 5)) if loss in ("poisson", "gamma") else score
    return HistGradientBoostingRegressor(loss=loss, **options(rng), **more).fit(matrix, target)


def thresholds_of(model: Any) -> np.ndarray:
    nodes = np.concatenate([p.nodes for stage in model._predictors for p in stage])
    found = nodes["num_threshold"][(nodes["is_leaf"] == 0) & (nodes["is_categorical"] == 0)]
    return found[np.isfinite(found)]


def assert_same(model: Any, artifact: Any, asked: Any, columns: dict[str, np.ndarray]) -> None:
    assert same(artifact.raw(columns), model._raw_predict(asked))
    found = artifact.predict(columns)
    if artifact.kind == "classifier":
        # scipy's expit and the kernel call the same libm function; numpy's exponential in softmax rounds otherwise.
        apart = ulps(found, model.predict_proba(asked))
        assert apart == 0 if len(model.classes_) == 2 else apart <= 8
    else:
        # numpy's exponential behind the log link rounds otherwise than libm's.
        assert ulps(found, model.predict(asked)) <= (2 if model.loss in ("poisson", "gamma") else 0)


@pytest.mark.slow
def test_numbers_with_missing_and_infinite_values_give_the_same_raw_scores(tmp_path: Path) -> None:
    for seed in range(50):
        rng = np.random.default_rng(seed)
        rows = int(rng.integers(20, 200))
        matrix = numbers(rng, rows, int(rng.integers(1, 6)), missing=0.2 * (rng.random() < 0.5))
        score = np.nan_to_num(matrix[:, 0]) + 0.3 * rng.normal(size=rows)
        model = fitted(rng, matrix, score)
        asked = near(rng, matrix, thresholds_of(model), 60)
        asked[rng.random(asked.shape) < 0.1] = rng.choice([np.nan, np.inf, -np.inf])
        for artifact in packed(model, tmp_path, matrix_features(matrix)):
            assert_same(model, artifact, asked, matrix_columns(asked))
            assert_same(model, artifact, asked[:1], matrix_columns(asked[:1]))


def mixed_frame(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """Numbers, texts as str and as category, numeric categories, with missing values here and there."""
    frame = pd.DataFrame(numbers(rng, rows, 2, missing=0.1), columns=["n0", "n1"])
    frame["text"] = pd.Series(rng.choice(NAMES[: int(rng.integers(2, 8))], size=rows))
    frame["code"] = rng.choice([-7.5, 0.0, 3.0, 1e9], size=rows)
    frame["flag"] = rng.choice(["no", "yes"], size=rows)
    for name in ("text", "code"):
        if rng.random() < 0.6:
            frame.loc[rng.random(rows) < 0.2, name] = np.nan
    return frame[list(rng.permutation(frame.columns))]


@pytest.mark.slow
@pytest.mark.parametrize("declared", ["from_dtype", "by name"])
def test_categories_of_a_frame_give_the_same_raw_scores(declared: str, tmp_path: Path) -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        rows = int(rng.integers(30, 200))
        frame = mixed_frame(rng, rows)
        score = np.nan_to_num(frame["n0"]) + (frame["flag"] == "yes") + frame["text"].isin(["a", "B"])
        categories = ["text", "code", "flag"]
        if declared == "from_dtype":
            frame = frame.astype(dict.fromkeys(categories, "category"))
        more = {"categorical_features": "from_dtype" if declared == "from_dtype" else categories}
        model = fitted(rng, frame, score.to_numpy(float), **more)
        asked = mixed_frame(rng, 60)[list(frame.columns)]
        asked.loc[rng.random(60) < 0.2, "text"] = "never seen"
        asked.loc[rng.random(60) < 0.2, "code"] = 3.0000000000000004
        for artifact in packed(model, tmp_path, frame_features(frame)):
            assert_same(model, artifact, asked, frame_columns(asked))
            assert_same(model, artifact, asked.iloc[:1], frame_columns(asked.iloc[:1]))


@pytest.mark.slow
def test_categories_of_a_matrix_give_the_same_raw_scores(tmp_path: Path) -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        matrix = numbers(rng, 120, 3)
        matrix[:, 1] = rng.choice(np.arange(-1.0, 200.0, 11.0), size=120)
        matrix[:, 1][rng.random(120) < 0.1] = np.nan
        model = fitted(rng, matrix, matrix[:, 0] + (matrix[:, 1] % 3 == 0), categorical_features=[1])
        asked = near(rng, matrix, thresholds_of(model), 600)
        asked[:, 1] = rng.choice([*matrix[:, 1], 0.5, -3.0, 300.0, np.nan], size=600)
        for artifact in packed(model, tmp_path, matrix_features(matrix)):
            assert_same(model, artifact, asked, matrix_columns(asked))
            none = artifact.predict(matrix_columns(asked[:0]))
            assert none.shape == ((0, len(model.classes_)) if hasattr(model, "classes_") else (0,))


def test_missing_text_may_be_none_or_nan_and_text_may_be_a_fixed_width_array(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["a", "b", None, "a"] * 10, "n": np.arange(40.0)})
    model = HistGradientBoostingRegressor(categorical_features=["text"], min_samples_leaf=1, max_iter=5)
    model.fit(frame, frame["n"] % 4)
    for artifact in packed(model, tmp_path, frame_features(frame)):
        n = np.array([1.0, 2.0])
        expected = model.predict(pd.DataFrame({"text": pd.Series([None, "b"], dtype="str"), "n": n}))
        assert same(artifact.predict({"text": np.array([None, "b"], dtype=object), "n": n}), expected)
        assert same(artifact.predict({"text": np.array([np.nan, "b"], dtype=object), "n": n}), expected)
        assert same(artifact.predict({"text": np.array(["b"]), "n": n[1:]}), expected[1:])


def test_an_infinite_numeric_category_is_refused_as_scikit_learn_does(tmp_path: Path) -> None:
    matrix = np.column_stack([np.arange(40.0), np.arange(40.0) % 3])
    model = HistGradientBoostingRegressor(categorical_features=[1], max_iter=2).fit(matrix, matrix[:, 0])
    asked = np.array([[1.0, np.inf]])
    with pytest.raises(ValueError, match="infinity"):
        model.predict(asked)
    for artifact in packed(model, tmp_path, matrix_features(matrix)):
        with pytest.raises(ContractError, match="'x1'"):
            artifact.predict(matrix_columns(asked))


def test_features_in_another_order_than_fitted_are_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": np.arange(40.0), "b": np.arange(40.0)})
    model = HistGradientBoostingRegressor(max_iter=2).fit(frame, frame["a"])
    with pytest.raises(ContractError, match="a, b"):
        packed(model, tmp_path, [Feature("b", "number"), Feature("a", "number")])
