"""LightGBM: leaves and raw scores bit for bit, with missing values, categories, and every objective's link."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import Booster, Dataset, LGBMClassifier, LGBMRanker, LGBMRegressor, early_stopping, train
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from penstock.artifact.native import Artifact
from penstock.contract.contract import Feature
from penstock.errors import UnsupportedEstimator
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
from tests.slow import seeded

POSITIVE = ("poisson", "gamma", "tweedie")
SHARES = ("cross_entropy", "cross_entropy_lambda")
VALUES = ("regression", "regression_l1", "huber", "fair", "quantile", "mape", *POSITIVE, *SHARES)


def options(rng: np.random.Generator) -> dict[str, Any]:
    boosting = str(rng.choice(["gbdt", "gbdt", "dart", "rf"]))
    more = {"bagging_freq": 1, "bagging_fraction": 0.6} if boosting == "rf" else {}
    return more | {
        "boosting_type": boosting,
        "n_estimators": int(rng.integers(1, 12)),
        "num_leaves": int(rng.integers(2, 90)),
        "min_child_samples": int(rng.integers(1, 10)),
        "zero_as_missing": bool(rng.random() < 0.3),
        "use_missing": bool(rng.random() < 0.8),
        "min_data_per_group": 1,
        "cat_smooth": 1.0,
        "max_cat_to_onehot": int(rng.choice([1, 4, 20])),
        "random_state": int(rng.integers(1000)),
        "n_jobs": 1,
        "verbose": -1,
    }


def fitted(rng: np.random.Generator, inputs: Any, score: np.ndarray, **fit: Any) -> Any:
    """A classifier of two to four classes, or a regressor with one of the objectives."""
    told = options(rng)
    if rng.random() < 0.5:
        classes = int(rng.integers(2, 5))
        target = np.digitize(score, np.quantile(score, np.linspace(0, 1, classes + 1)[1:-1]))
        told |= {"objective": "binary", "sigmoid": 1.7} if classes == 2 else {}
        told |= {"objective": "multiclassova", "sigmoid": 0.6} if classes == 4 else {}
        return LGBMClassifier(**told).fit(inputs, np.array(["a", "b", "c", "d"])[target], **fit)
    objective = str(rng.choice(VALUES))
    told |= {"reg_sqrt": bool(rng.random() < 0.3)} if objective.startswith("regression") else {}
    target = 1 / (1 + np.exp(-score)) if objective in SHARES else score
    target = np.exp(np.clip(score, -5, 5)) if objective in POSITIVE else target
    return LGBMRegressor(objective=objective, **told).fit(inputs, target, **fit)


def thresholds_of(model: Any) -> np.ndarray:
    text = model.booster_.model_to_string()
    lines = [line.partition("=")[2].split() for line in text.splitlines() if line.startswith("threshold=")]
    return np.array([0.0, 1e-35, float(np.float32(1e-35)), *(float(value) for line in lines for value in line)])


def assert_same(model: Any, artifact: Artifact, asked: Any, columns: dict[str, np.ndarray]) -> None:
    raw = model.predict(asked, raw_score=True)
    assert same(artifact.raw(columns).reshape(raw.shape), raw)
    leaves = np.asarray(model.predict(asked, pred_leaf=True)).reshape(len(asked), -1)
    assert np.array_equal(artifact.leaves(columns), leaves)
    expected = model.predict_proba(asked) if hasattr(model, "classes_") else model.predict(asked)
    assert ulps(artifact.predict(columns), expected) == 0


@seeded(16, 160)
def test_numbers_with_missing_and_infinite_values_give_the_same_leaves_scores_and_predictions(
    seeds: range, tmp_path: Path
) -> None:
    for seed in seeds:
        rng = np.random.default_rng(seed)
        rows = int(rng.integers(20, 200))
        matrix = numbers(rng, rows, int(rng.integers(1, 6)), missing=0.2 * (rng.random() < 0.5))
        matrix[rng.random(matrix.shape) < 0.2 * (rng.random() < 0.5)] = 0.0
        model = fitted(rng, matrix, np.nan_to_num(matrix[:, 0]) + 0.3 * rng.normal(size=rows))
        asked = near(rng, matrix, thresholds_of(model), 60)
        odd = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-36, -1e-36]
        asked[rng.random(asked.shape) < 0.1] = rng.choice(odd)
        for artifact in packed(model, tmp_path, matrix_features(matrix)):
            assert_same(model, artifact, asked, matrix_columns(asked))
            assert_same(model, artifact, asked[:1], matrix_columns(asked[:1]))
            assert artifact.raw(matrix_columns(asked[:0])).shape[0] == 0


def mixed_frame(rng: np.random.Generator, rows: int, words: int) -> pd.DataFrame:
    """Numbers, and texts and numbers as categories, with missing values here and there."""
    frame = pd.DataFrame(numbers(rng, rows, 2, missing=0.1), columns=["n 0", "n1"])
    frame["text"] = pd.Series([f"wörd {at}" for at in rng.integers(words, size=rows)])
    frame["code"] = rng.choice([-7.5, 0.0, 3.0, 1e9], size=rows)
    frame["flag"] = rng.choice(["no", "yes"], size=rows)
    for name in ("text", "code"):
        if rng.random() < 0.6:
            frame.loc[rng.random(rows) < 0.2, name] = np.nan
    return frame


def categorical(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype(dict.fromkeys(["text", "code", "flag"], "category"))


@seeded(2, 40)
@pytest.mark.parametrize("words", [6, 700, 3_000])
def test_categories_of_a_frame_give_the_same_leaves_scores_and_predictions(
    words: int, seeds: range, tmp_path: Path
) -> None:
    """Sets of more than 256 and of more than 2,048 categories are walked by other ways."""
    sets = 0
    for seed in seeds if words == 6 else seeds[:4]:
        rng = np.random.default_rng(seed)
        rows = int(rng.integers(30, 200)) if words == 6 else 6_000
        order = list(rng.permutation(["n 0", "n1", "text", "code", "flag"]))
        frame = mixed_frame(rng, rows, words)[order]
        number = frame["text"].str.removeprefix("wörd ").astype(float)
        score = np.nan_to_num(frame["n 0"]) + (frame["flag"] == "yes") + np.nan_to_num(number) % 3
        model = fitted(rng, categorical(frame), score.to_numpy(float))
        sets += sum(line.startswith("cat_threshold") for line in model.booster_.model_to_string().splitlines())
        asked = mixed_frame(rng, 60, words + 3)[order]
        asked.loc[rng.random(60) < 0.2, "code"] = 3.0000000000000004
        for artifact in packed(model, tmp_path, frame_features(frame)):
            assert_same(model, artifact, categorical(asked), frame_columns(asked))
            assert_same(model, artifact, categorical(asked).iloc[:1], frame_columns(asked.iloc[:1]))
    assert sets > 0


def test_ordered_categories_are_numbers_and_found_by_their_codes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = mixed_frame(rng, 200, 6)
    ordered = categorical(frame)
    ordered["flag"] = ordered["flag"].cat.as_ordered()
    score = (frame["flag"] == "yes") + (frame["code"] == 3) + rng.normal(size=200)
    model = LGBMRegressor(n_estimators=5, verbose=-1).fit(ordered, score)
    for artifact in packed(model, tmp_path, frame_features(frame)):
        assert_same(model, artifact, ordered, frame_columns(frame))
    numeric = pd.DataFrame({"code": pd.Categorical(frame["code"]), "hour": rng.integers(24, size=200)})
    model = LGBMRegressor(n_estimators=5, verbose=-1).fit(numeric, score, categorical_feature=["hour"])
    for artifact in packed(model, tmp_path, frame_features(numeric)):
        assert_same(model, artifact, numeric, frame_columns(numeric))


def test_an_ordered_category_of_numbers_that_another_column_could_be_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    numbered = pd.DataFrame({"x": rng.normal(size=200), "grade": rng.choice([3, 5, 9], size=200)})
    for frame in (numbered, numbered.assign(count=rng.integers(3, size=200))):
        ordered = frame.assign(grade=pd.Categorical(frame["grade"], ordered=True))
        model = LGBMRegressor(n_estimators=5, verbose=-1).fit(ordered, frame["x"] + frame["grade"])
        if "count" in frame:
            with pytest.raises(UnsupportedEstimator, match="several columns that could be them"):
                packed(model, tmp_path, frame_features(frame))
            continue
        for artifact in packed(model, tmp_path, frame_features(frame)):
            assert_same(model, artifact, ordered, frame_columns(frame))


@pytest.mark.slow
def test_categories_of_a_matrix_are_truncated_as_the_library_does(tmp_path: Path) -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        matrix = numbers(rng, 150, 3)
        matrix[:, 1] = rng.choice([0.0, 1.0, 2.0, 7.0, 300.0, 70_000.0], size=150)
        matrix[:, 1][rng.random(150) < 0.1] = np.nan
        model = fitted(rng, matrix, matrix[:, 0] + 2 * (matrix[:, 1] % 3 == 0), categorical_feature=[1])
        asked = near(rng, matrix, thresholds_of(model), 80)
        odd = [-0.5, 0.99, 1.5, -1.0, 299.9, 70_001.0, 3e9, -3e9, np.inf, -np.inf, np.nan]
        asked[:, 1] = rng.choice([*matrix[:, 1], *odd], size=80)
        for artifact in packed(model, tmp_path, matrix_features(matrix)):
            assert_same(model, artifact, asked, matrix_columns(asked))


def test_ranking_answers_its_score_and_early_stopping_its_best_iteration(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(200, 3))
    relevance = np.digitize(matrix[:, 0], [-0.5, 0.5])
    ranker = LGBMRanker(n_estimators=5, verbose=-1).fit(matrix, relevance, group=[50] * 4)
    stopped = LGBMRegressor(n_estimators=80, learning_rate=0.5, verbose=-1).fit(
        matrix[:100],
        matrix[:100, 0],
        eval_set=[(matrix[100:], rng.normal(size=100))],
        callbacks=[early_stopping(2, verbose=False)],
    )
    assert 0 < stopped.best_iteration_ < 80
    for model in (ranker, stopped):
        for artifact in packed(model, tmp_path, matrix_features(matrix)):
            assert_same(model, artifact, matrix, matrix_columns(matrix))


@pytest.mark.parametrize("objective", ["binary", "multiclass", "poisson"])
def test_a_native_booster_answers_as_it_does_in_its_own_library(objective: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(200, 3))
    target = {"binary": matrix[:, 0] > 0, "multiclass": np.digitize(matrix[:, 0], [-0.5, 0.5])}.get(
        objective, np.exp(matrix[:, 0])
    )
    told = {"objective": objective, "verbose": -1} | ({"num_class": 3} if objective == "multiclass" else {})
    booster = train(told, Dataset(matrix, target), num_boost_round=7)
    for again in (booster, Booster(model_str=booster.model_to_string())):
        expected = np.asarray(again.predict(matrix))
        expected = np.column_stack([1 - expected, expected]) if objective == "binary" else expected
        for artifact in packed(again, tmp_path, matrix_features(matrix)):
            assert artifact.kind == ("regressor" if objective == "poisson" else "classifier")
            assert artifact.classes == {"binary": (0, 1), "multiclass": (0, 1, 2)}.get(objective, ())
            assert same(artifact.predict(matrix_columns(matrix)), expected)


def test_inside_a_pipeline_it_takes_what_the_steps_before_make(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    frame = mixed_frame(rng, 200, 5)
    steps = make_column_transformer(
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), ["text", "flag"]),
        (SimpleImputer(), ["n 0", "n1"]),
    )
    model = make_pipeline(steps, LGBMClassifier(n_estimators=5, verbose=-1, min_child_samples=3))
    model.fit(frame, frame["flag"] == "yes")
    for artifact in packed(model, tmp_path, frame_features(frame)):
        assert same(artifact.predict(frame_columns(frame)), model.predict_proba(frame))


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "linear trees": (lambda: LGBMRegressor(linear_tree=True, verbose=-1), "linear_tree=False"),
    "predictions that stop early": (lambda: LGBMRegressor(pred_early_stop=True, verbose=-1), "pred_early_stop"),
    "a classifier without probabilities": (
        lambda: LGBMClassifier(objective=lambda y, raw: (raw - y, np.ones_like(y)), verbose=-1),
        "which have probabilities",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_packed_is_named(kind: str, tmp_path: Path) -> None:
    make, said = REFUSED[kind]
    matrix = np.random.default_rng(0).normal(size=(100, 2))
    with pytest.raises(UnsupportedEstimator, match=said):
        packed(make().fit(matrix, (matrix[:, 0] > 0).astype(float)), tmp_path, matrix_features(matrix))


def test_an_objective_of_ones_own_with_several_outputs_is_refused(tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).normal(size=(100, 2))
    told = {"objective": lambda raw, _: (raw - 1, np.ones_like(raw)), "num_class": 2, "verbose": -1}
    with pytest.raises(UnsupportedEstimator, match="found 2 outputs"):
        packed(train(told, Dataset(matrix, matrix[:, 0]), 2), tmp_path, matrix_features(matrix))


def test_text_features_that_were_not_fitted_as_categories_are_refused(tmp_path: Path) -> None:
    model = LGBMRegressor(n_estimators=2, verbose=-1).fit(
        np.random.default_rng(0).normal(size=(50, 2)), np.arange(50.0)
    )
    with pytest.raises(UnsupportedEstimator, match="text feature 'b'"):
        packed(model, tmp_path, [Feature("a", "number"), Feature("b", "text")])
