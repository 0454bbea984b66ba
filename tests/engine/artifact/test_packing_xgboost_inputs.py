"""XGBoost: trees that were pruned, and inputs that are a sparse matrix, in which what is not held is missing."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import StackingClassifier, StackingRegressor
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from xgboost import XGBClassifier, XGBRegressor

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
)
from tests.engine.artifact.test_packing_xgboost import assert_same, categorical, mixed_frame, thresholds_of


@pytest.mark.parametrize("method", ["hist", "approx", "exact"])
def test_nodes_that_were_pruned_are_leaves(method: str, tmp_path: Path) -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        matrix = numbers(rng, 150, 3)
        told: dict[str, Any] = {"n_estimators": 4, "tree_method": method, "max_depth": 7, "n_jobs": 1}
        model = XGBRegressor(gamma=float(rng.choice([1, 4])), **told)
        model.fit(matrix, matrix[:, 0].clip(-5, 5) + rng.normal(size=150))
        asked = near(rng, matrix, thresholds_of(model), 60)
        for artifact in packed(model, tmp_path, matrix_features(matrix)):
            assert_same(model, artifact, asked, matrix_columns(asked))


def test_pruned_categories_are_leaves_too(tmp_path: Path) -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        frame = mixed_frame(rng, 200, 6)
        model = XGBRegressor(gamma=3.0, n_estimators=4, max_depth=7, tree_method="approx", enable_categorical=True)
        model.fit(categorical(frame), (frame["code"] == 3) + rng.normal(size=200))
        for artifact in packed(model, tmp_path, frame_features(frame)):
            assert_same(model, artifact, categorical(frame), frame_columns(frame))


def worded(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    frame = pd.DataFrame({"word": rng.choice(list("abcdefg"), size=rows), "n": rng.integers(-1, 2, size=rows) * 1.0})
    frame.loc[rng.random(rows) < 0.2, "n"] = np.nan
    return frame


@pytest.mark.parametrize("booster", ["gbtree", "dart"])
def test_zeros_of_a_sparse_matrix_are_missing(booster: str, tmp_path: Path) -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        frame = worded(rng, 200)
        columns = make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), ["word"]),
            (StandardScaler(with_mean=bool(seed % 2)), ["n"]),
            sparse_threshold=1.0,
        )
        score = (frame["word"] < "d") + rng.normal(size=200)
        model = make_pipeline(columns, XGBRegressor(n_estimators=5, booster=booster, n_jobs=1)).fit(frame, score)
        assert columns.sparse_output_
        asked = worded(rng, 60)
        asked.loc[:4, "word"] = "never seen"
        for artifact in packed(model, tmp_path, frame_features(frame)):
            assert same(artifact.predict(frame_columns(asked)).astype(np.float32), model.predict(asked))


@pytest.mark.parametrize("base", [None, 1e-7, 2e-6, 1 - 2e-6, 1 - 1e-7])
def test_a_base_score_stays_away_from_zero_and_one(base: float | None, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(100, 2))
    for positives in (np.zeros(100), np.ones(100), (matrix[:, 0] > 0).astype(float)):
        told = {"objective": "reg:logistic", "n_estimators": 3, "n_jobs": 1}
        model = XGBRegressor(**told, base_score=base).fit(matrix, positives)
        for artifact in packed(model, tmp_path, matrix_features(matrix)):
            assert_same(model, artifact, matrix, matrix_columns(matrix))


def test_what_a_stack_passes_through_stays_sparse(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = worded(rng, 200)[["word"]]
    last = XGBClassifier(n_estimators=5, n_jobs=1)
    stack = StackingClassifier([("line", LogisticRegression())], last, passthrough=True, cv=2)
    model = make_pipeline(make_column_transformer((OneHotEncoder(), ["word"])), stack)
    model.fit(frame, (frame["word"] < "d") ^ (rng.random(200) < 0.2))
    for artifact in packed(model, tmp_path, frame_features(frame)):
        assert same(artifact.predict(frame_columns(frame)).astype(np.float32), model.predict_proba(frame))


def test_hashed_terms_that_may_cancel_out_are_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["good day", "bad day", "good night", "bad night"] * 10})
    for alternate in (True, False):
        terms = make_column_transformer((HashingVectorizer(n_features=8, alternate_sign=alternate), "text"))
        model = make_pipeline(terms, XGBRegressor(n_estimators=3, n_jobs=1)).fit(frame, np.arange(40.0))
        if alternate:
            with pytest.raises(UnsupportedEstimator, match="alternate_sign=False"):
                packed(model, tmp_path, frame_features(frame))
            continue
        for artifact in packed(model, tmp_path, frame_features(frame)):
            assert same(artifact.predict(frame_columns(frame)).astype(np.float32), model.predict(frame))


@pytest.mark.parametrize("last", [None, SGDClassifier(loss="log_loss"), make_pipeline(StandardScaler(), Ridge())])
def test_a_stack_of_xgboost_alone_is_packed_in_float32(last: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(200, 4))
    score = matrix[:, 0] + 0.3 * rng.normal(size=200)
    values = isinstance(last, Pipeline)
    members = [(str(n), (XGBRegressor if values else XGBClassifier)(n_estimators=n)) for n in (3, 5)]
    for bounds in ([0.0], [-0.5, 0.5]):
        target = score if values else np.digitize(score, bounds)
        model = (StackingRegressor if values else StackingClassifier)(members, last, cv=2).fit(matrix, target)
        expected = model.predict(matrix) if values else model.predict_proba(matrix)
        found = [one.predict(matrix_columns(matrix)) for one in packed(model, tmp_path, matrix_features(matrix))]
        np.testing.assert_allclose(found[0], expected, rtol=1e-6, atol=1e-6)
        assert same(found[0], found[-1])
