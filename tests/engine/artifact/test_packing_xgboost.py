"""XGBoost: leaves and raw scores bit for bit in its float32, with missing values, categories, and every link."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from xgboost import Booster, DMatrix, XGBClassifier, XGBRanker, XGBRegressor, XGBRFClassifier, train

from penstock.artifact.native import Artifact
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

POSITIVE = ("count:poisson", "reg:gamma", "reg:tweedie", "survival:cox")
VALUES = (
    *("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:logistic", "binary:hinge"),
    *POSITIVE,
)


def options(rng: np.random.Generator, *, categories: bool = False) -> dict[str, Any]:
    methods = ["hist", "approx"] if categories else ["hist", "approx", "exact"]
    return {
        "booster": str(rng.choice(["gbtree", "gbtree", "dart"])),
        "rate_drop": 0.3,
        "tree_method": str(rng.choice(methods)),
        "n_estimators": int(rng.integers(1, 12)),
        "num_parallel_tree": int(rng.choice([1, 1, 3])),
        "subsample": 0.8,
        "max_depth": int(rng.integers(1, 8)),
        "max_cat_to_onehot": int(rng.choice([1, 20])),
        "enable_categorical": categories,
        "random_state": int(rng.integers(1000)),
        "n_jobs": 1,
    }


def fitted(rng: np.random.Generator, inputs: Any, score: np.ndarray, told: dict[str, Any]) -> Any:
    """A classifier of two to four classes, or a regressor with one of the objectives."""
    base = {"base_score": float(rng.uniform(0.1, 0.9))} if rng.random() < 0.3 else {}
    if rng.random() < 0.5:
        classes = int(rng.integers(2, 5))
        target = np.digitize(score, np.quantile(score, np.linspace(0, 1, classes + 1)[1:-1]))
        if classes == 2 and rng.random() < 0.2:
            told |= {"objective": "binary:hinge"}
        if classes == 4:
            told |= {"objective": "multi:softmax"}
        return XGBClassifier(**told, **base).fit(inputs, target)
    objective = str(rng.choice(VALUES))
    target = np.exp(np.clip(score, -5, 5)) if objective in POSITIVE else score
    target = 1 / (1 + np.exp(-score)) if objective == "reg:logistic" else target
    target = (score > np.median(score)).astype(float) if objective == "binary:hinge" else target
    return XGBRegressor(objective=objective, **told, **base).fit(inputs, target)


def thresholds_of(model: Any) -> np.ndarray:
    frame = model.get_booster().trees_to_dataframe()
    return np.array([0.0, *frame["Split"].dropna()])


def assert_same(model: Any, artifact: Artifact, asked: Any, columns: dict[str, np.ndarray]) -> None:
    raw = model.predict(asked, output_margin=True)
    assert same(artifact.raw(columns).reshape(raw.shape), raw)
    # The library takes infinity where it predicts, and refuses it where it is asked for leaves.
    taken = ~(np.abs(asked) > 3.4e38).any(axis=1) if isinstance(asked, np.ndarray) else np.full(len(asked), True)
    leaves = artifact.leaves(columns)[taken]
    assert np.array_equal(leaves, np.asarray(model.apply(asked[taken])).reshape(leaves.shape))
    expected = model.predict_proba(asked) if hasattr(model, "predict_proba") else model.predict(asked)
    # multi:softmax has scipy make probabilities of the scores.
    apart = 4 if getattr(model, "objective", "") == "multi:softmax" else 0
    assert ulps(artifact.predict(columns).astype(np.float32), expected) <= apart


@seeded(16, 160)
def test_numbers_with_missing_and_infinite_values_give_the_same_leaves_scores_and_predictions(
    seeds: range, tmp_path: Path
) -> None:
    for seed in seeds:
        rng = np.random.default_rng(seed)
        rows = int(rng.integers(20, 200))
        matrix = numbers(rng, rows, int(rng.integers(1, 6)), missing=0.2 * (rng.random() < 0.5))
        told = options(rng)
        if rng.random() < 0.3:
            matrix[rng.random(matrix.shape) < 0.2] = -999.7
            told["missing"] = -999.7
        model = fitted(rng, matrix, np.nan_to_num(matrix[:, 0]).clip(-10, 10) + 0.3 * rng.normal(size=rows), told)
        asked = near(rng, matrix, thresholds_of(model), 60)
        asked[rng.random(asked.shape) < 0.1] = rng.choice([np.nan, np.inf, -np.inf, 1e300, -0.0, 1e-46])
        for artifact in packed(model, tmp_path, matrix_features(matrix)):
            assert_same(model, artifact, asked, matrix_columns(asked))
            assert_same(model, artifact, asked[:1], matrix_columns(asked[:1]))
            assert artifact.raw(matrix_columns(asked[:0])).shape[0] == 0


def mixed_frame(rng: np.random.Generator, rows: int, words: int) -> pd.DataFrame:
    """Numbers, and texts and numbers as categories, with missing values here and there."""
    frame = pd.DataFrame(numbers(rng, rows, 2, missing=0.1), columns=["n0", "n1"])
    frame["text"] = pd.Series([f"word {at}" for at in rng.integers(words, size=rows)])
    frame["code"] = rng.choice([-7, 0, 3, 10**9], size=rows)
    if rng.random() < 0.6:
        frame.loc[rng.random(rows) < 0.2, "text"] = np.nan
    return frame[list(rng.permutation(frame.columns))]


def categorical(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype({"text": "category", "code": "category"})


@seeded(4, 60)
@pytest.mark.parametrize("words", [6, 600])
def test_categories_of_a_frame_give_the_same_leaves_scores_and_predictions(
    words: int, seeds: range, tmp_path: Path
) -> None:
    sets = 0
    for seed in seeds if words == 6 else seeds[:4]:
        rng = np.random.default_rng(seed)
        rows = int(rng.integers(60, 200)) if words == 6 else 5_000
        frame = mixed_frame(rng, rows, words)
        number = frame["text"].str.removeprefix("word ").astype(float)
        score = np.nan_to_num(frame["n0"]).clip(-3, 3) + (frame["code"] == 3) + np.nan_to_num(number) % 3
        model = fitted(rng, categorical(frame), score.to_numpy(float), options(rng, categories=True))
        sets += model.get_booster().trees_to_dataframe()["Category"].notna().sum()
        asked = frame.sample(60, random_state=seed)
        for artifact in packed(model, tmp_path, frame_features(frame)):
            assert_same(model, artifact, categorical(asked), frame_columns(asked))
            assert_same(model, artifact, categorical(asked).iloc[:1], frame_columns(asked.iloc[:1]))
    assert sets > 0


def test_a_category_that_was_not_seen_is_missing(tmp_path: Path) -> None:
    """The library refuses it, or, where its name comes before one that was seen, takes it for that one."""
    rng = np.random.default_rng(0)
    frame = mixed_frame(rng, 300, 4)
    model = XGBRegressor(n_estimators=5, enable_categorical=True).fit(categorical(frame), np.arange(300.0))
    asked = frame.copy()
    asked["text"] = "never seen"
    without = frame.copy()
    without["text"] = pd.Series([None] * 300, dtype=object)
    for artifact in packed(model, tmp_path, frame_features(frame)):
        assert same(artifact.predict(frame_columns(asked)), artifact.predict(frame_columns(without)))


@pytest.mark.parametrize("words", [["é", "a", "zz"], ["日本", "東京", "x"], ["web", "shop", "München"]])
def test_categories_beyond_ascii_are_those_of_the_training_frame(words: list[str], tmp_path: Path) -> None:
    """The library counts characters where it stores bytes, and so loses the end of its last categories."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"n": rng.normal(size=300), "word": rng.choice(words, size=300)})
    frame.loc[rng.random(300) < 0.1, "word"] = np.nan
    asked = frame.astype({"word": "category"})
    model = XGBRegressor(n_estimators=9, enable_categorical=True).fit(asked, asked["word"].cat.codes % 2 + frame["n"])
    known = {"word": asked["word"].cat.categories.tolist()}
    for artifact in packed(model, tmp_path, frame_features(frame), categories=known):
        assert_same(model, artifact, asked, frame_columns(frame))
    for others in ({}, {"word": [*known["word"][:-1], "other"]}, {"word": known["word"][::-1]}):
        with pytest.raises(UnsupportedEstimator, match="categories of the training frame"):
            packed(model, tmp_path, frame_features(frame), categories=others)


@pytest.mark.slow
def test_categories_of_a_matrix_are_taken_as_the_library_does(tmp_path: Path) -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        matrix = numbers(rng, 150, 3)
        matrix[:, 1] = rng.choice([0.0, 1.0, 2.0, 7.0, 300.0], size=150)
        matrix[:, 1][rng.random(150) < 0.1] = np.nan
        told = options(rng, categories=True) | {"feature_types": ["q", "c", "q"]}
        model = fitted(rng, matrix, matrix[:, 0].clip(-9, 9) + 2 * (matrix[:, 1] % 3 == 0), told)
        asked = near(rng, matrix, thresholds_of(model), 80)
        asked[:, 1] = rng.choice([*matrix[:, 1], -0.5, 0.99, 1.5, -1.0, 299.9, 301.0, 3e9, -3e9, np.nan], size=80)
        for artifact in packed(model, tmp_path, matrix_features(matrix)):
            assert_same(model, artifact, asked, matrix_columns(asked))


def test_ranking_forests_and_early_stopping_answer_as_the_library_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(200, 3))
    classes = np.digitize(matrix[:, 0], [-0.5, 0.5])
    ranker = XGBRanker(n_estimators=5).fit(matrix, classes, qid=np.repeat(np.arange(4), 50))
    forest = XGBRFClassifier(n_estimators=7).fit(matrix, classes)
    stopped = XGBClassifier(n_estimators=80, learning_rate=0.7, early_stopping_rounds=2)
    stopped.fit(matrix[:100], classes[:100], eval_set=[(matrix[100:], rng.integers(3, size=100))], verbose=False)
    assert 0 < stopped.best_iteration + 1 < stopped.get_booster().num_boosted_rounds()
    for model in (ranker, forest, stopped):
        for artifact in packed(model, tmp_path, matrix_features(matrix)):
            assert_same(model, artifact, matrix, matrix_columns(matrix))


@pytest.mark.parametrize("objective", ["binary:logistic", "multi:softprob", "count:poisson"])
@pytest.mark.parametrize("booster", ["gbtree", "dart"])
def test_a_native_booster_answers_as_it_does_in_its_own_library(objective: str, booster: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(200, 3))
    target = {"binary:logistic": matrix[:, 0] > 0, "multi:softprob": np.digitize(matrix[:, 0], [-0.5, 0.5])}
    told = {"objective": objective, "booster": booster, "rate_drop": 0.4}
    told |= {"num_class": 3} if objective == "multi:softprob" else {}
    first = train(told, DMatrix(matrix, target.get(objective, np.exp(matrix[:, 0]))), num_boost_round=7)
    second = Booster()
    second.load_model(first.save_raw("ubj"))
    for model in (first, second):
        expected = model.predict(DMatrix(matrix))
        expected = np.column_stack([1 - expected, expected]) if objective == "binary:logistic" else expected
        margin = model.predict(DMatrix(matrix), output_margin=True)
        for artifact in packed(model, tmp_path, matrix_features(matrix)):
            assert artifact.kind == ("regressor" if objective == "count:poisson" else "classifier")
            assert same(artifact.raw(matrix_columns(matrix)).reshape(margin.shape), margin)
            assert same(artifact.predict(matrix_columns(matrix)), expected)


def test_inside_a_pipeline_it_takes_what_the_steps_before_make(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    frame = mixed_frame(rng, 200, 5)
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    steps = make_column_transformer((encoder, ["text"]), (SimpleImputer(), ["n0", "n1"]))
    model = make_pipeline(steps, XGBClassifier(n_estimators=5)).fit(frame, (frame["code"] == 3).astype(int))
    for artifact in packed(model, tmp_path, frame_features(frame)):
        assert same(artifact.predict(frame_columns(frame)), model.predict_proba(frame))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (XGBRegressor(booster="gblinear"), "gblinear"),
        (XGBRegressor(multi_strategy="multi_output_tree", n_estimators=2), "one_output_per_tree"),
        (XGBRegressor(n_estimators=2, enable_categorical=True), "ASCII"),
        (XGBClassifier(objective="binary:logitraw", n_estimators=2), "which have probabilities"),
    ],
)
def test_what_is_not_packed_is_named(model: Any, said: str, tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).normal(size=(100, 2))
    if said == "ASCII":
        frame = pd.DataFrame({"word": pd.Categorical(["a", "ä"] * 50)})
        with pytest.raises(UnsupportedEstimator, match=said):
            packed(model.fit(frame, np.arange(100.0)), tmp_path, frame_features(frame))
        return
    several = np.column_stack([matrix[:, 0], matrix[:, 1]])
    target = several if said == "one_output_per_tree" else (matrix[:, 0] > 0).astype(int)
    with pytest.raises(UnsupportedEstimator, match=said):
        packed(model.fit(matrix, target), tmp_path, matrix_features(matrix))


@pytest.mark.parametrize(
    "objective", ["binary:logitraw", "reg:squaredlogerror", "binary:hinge", "reg:logistic", "survival:aft", "rank:ndcg"]
)
def test_a_booster_starts_from_its_base_score_whatever_the_objective(objective: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    matrix = rng.normal(size=(200, 3))
    rows = DMatrix(matrix, (matrix[:, 0] > 0).astype(float))
    if objective == "survival:aft":
        rows = DMatrix(matrix, label_lower_bound=np.exp(matrix[:, 0]), label_upper_bound=2 * np.exp(matrix[:, 0]))
    if objective == "rank:ndcg":
        rows.set_group([100, 100])
    base = {} if objective == "rank:ndcg" else {"base_score": 0.3}
    model = train({"objective": objective} | base, rows, num_boost_round=4)
    for artifact in packed(model, tmp_path, matrix_features(matrix)):
        found = artifact.predict(matrix_columns(matrix))
        assert same(artifact.raw(matrix_columns(matrix))[:, 0], model.predict(rows, output_margin=True))
        assert same(found if found.ndim == 1 else found[:, 1], model.predict(rows))
