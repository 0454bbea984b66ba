"""What a step makes of columns decides whether the next is packed: bits that are rounded otherwise, stored zeros."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfTransformer
from sklearn.feature_selection import SelectFromModel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
)
from xgboost import XGBClassifier

from penstock.artifact.load import load
from penstock.artifact.packing.pack import pack
from penstock.artifact.packing.unfitted import demand_storable
from penstock.contract.contract import Output
from penstock.errors import UnsupportedEstimator
from tests.engine.artifact.random_models import (
    frame_columns,
    frame_features,
    matrix_columns,
    matrix_features,
    packed,
    same,
)

LATE = Output("late", "classifier")
HOT = OneHotEncoder(handle_unknown="ignore")
LIGHTGBM = LGBMClassifier(n_estimators=5, min_child_samples=3, verbose=-1)
XGBOOST = XGBClassifier(n_estimators=5)


def whole_numbers(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a few whole numbers, so that many are alike, and what is to be told of them."""
    matrix = rng.integers(0, 4, size=(90, 3)).astype(float)
    return matrix, matrix[:, 0] + rng.normal(size=90) > matrix[:, 1]


COMPARED: dict[str, tuple[Any, str]] = {
    "bins": (make_pipeline(PCA(2, whiten=True), KBinsDiscretizer(3)), "KBinsDiscretizer .* PCA before it"),
    "categories": (
        make_pipeline(FunctionTransformer(np.exp), StandardScaler(), OrdinalEncoder()),
        "FunctionTransformer",
    ),
    "some columns": (make_pipeline(PCA(2), make_column_transformer((HOT, [0]))), "OneHotEncoder .* PCA before it"),
    "quantiles": (make_pipeline(PowerTransformer(), QuantileTransformer()), "QuantileTransformer .* PowerTransformer"),
}


@pytest.mark.parametrize("name", COMPARED)
def test_what_compares_to_the_bit_is_left_to_scikit_learn_behind_what_rounds_otherwise(
    name: str, tmp_path: Path
) -> None:
    steps, said = COMPARED[name]
    with pytest.raises(UnsupportedEstimator, match=said):
        demand_storable(make_pipeline(steps, LIGHTGBM), LATE)
    matrix, late = whole_numbers(np.random.default_rng(0))
    model = make_pipeline(steps, LogisticRegression())
    demand_storable(model, LATE)
    pack(model.fit(matrix, late), tmp_path / "model", features=matrix_features(matrix), metadata={})
    artifact = load(tmp_path / "model")
    assert artifact.fallback is not None
    assert same(artifact.predict(matrix_columns(matrix)), model.predict_proba(matrix))


def test_what_compares_to_the_bit_is_packed_beside_what_rounds_and_before_it(tmp_path: Path) -> None:
    matrix, late = whole_numbers(np.random.default_rng(1))
    beside = make_column_transformer((PCA(2), [0, 1]), (KBinsDiscretizer(2), [2]))
    partly = make_column_transformer((PCA(1), [0, 1]), remainder="passthrough")
    other_column = make_pipeline(partly, make_column_transformer((HOT, [1])))
    for steps in (beside, make_pipeline(KBinsDiscretizer(3), PCA(2)), other_column):
        model = make_pipeline(steps, LIGHTGBM)
        demand_storable(model, LATE)
        for artifact in packed(model.fit(matrix, late), tmp_path, matrix_features(matrix)):
            assert same(artifact.predict(matrix_columns(matrix)), model.predict_proba(matrix))
    model = make_pipeline(partly, make_column_transformer((HOT, [0])), LIGHTGBM).fit(matrix, late)
    with pytest.raises(UnsupportedEstimator, match=r"OneHotEncoder: expected numbers to the last bit, found .* of PCA"):
        packed(model, tmp_path, matrix_features(matrix))


ZEROS: dict[str, tuple[Any, str]] = {
    "splines": (SplineTransformer(sparse_output=True), "sparse_output=False of SplineTransformer"),
    "a rounding": (make_pipeline(HOT, FunctionTransformer(np.rint)), "a dense matrix before FunctionTransformer"),
    "quantiles": (make_pipeline(HOT, QuantileTransformer(n_quantiles=9)), "a dense matrix before QuantileTransformer"),
    "an imputer": (make_pipeline(HOT, SimpleImputer(strategy="constant")), "a dense matrix before SimpleImputer"),
}


@pytest.mark.parametrize("name", ZEROS)
def test_zeros_that_a_sparse_matrix_holds_are_zeros_for_all_but_xgboost(name: str, tmp_path: Path) -> None:
    steps, said = ZEROS[name]
    with pytest.raises(UnsupportedEstimator, match=said):
        demand_storable(make_pipeline(steps, XGBOOST), LATE)
    matrix, late = whole_numbers(np.random.default_rng(2))
    model = make_pipeline(steps, LIGHTGBM)
    demand_storable(model, LATE)
    for artifact in packed(model.fit(matrix, late), tmp_path, matrix_features(matrix)):
        assert np.abs(artifact.predict(matrix_columns(matrix)) - model.predict_proba(matrix)).max() < 1e-12


def test_hashed_terms_that_can_cancel_out_are_refused_before_xgboost_unless_a_step_makes_them_dense() -> None:
    hashed = HashingVectorizer(n_features=64)
    with pytest.raises(UnsupportedEstimator, match="alternate_sign=False of HashingVectorizer"):
        demand_storable(make_pipeline(make_column_transformer((hashed, "text")), XGBOOST), LATE)
    demand_storable(make_pipeline(make_column_transformer((hashed, "text"), sparse_threshold=0), XGBOOST), LATE)
    demand_storable(make_pipeline(make_column_transformer((hashed, "text")), PCA(2), XGBOOST), LATE)
    demand_storable(make_pipeline(hashed, SelectFromModel(XGBOOST), LIGHTGBM), LATE)
    rest = make_column_transformer(("drop", ["text"]), remainder=SplineTransformer(sparse_output=True))
    with pytest.raises(UnsupportedEstimator, match="sparse_output=False of SplineTransformer"):
        demand_storable(make_pipeline(rest, XGBOOST), LATE)


def test_weights_of_terms_make_a_sparse_matrix_of_a_dense_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"text": [" ".join(rng.choice(["red", "green", "blue", "grey"], 4)) for _ in range(90)]})
    terms = make_column_transformer((CountVectorizer(), "text"), sparse_threshold=0)
    model = make_pipeline(terms, TfidfTransformer(), XGBOOST).fit(frame, frame["text"].str.contains("red green"))
    for artifact in packed(model, tmp_path, frame_features(frame)):
        assert np.abs(artifact.predict(frame_columns(frame)) - model.predict_proba(frame)).max() < 1e-6


def test_a_row_is_normal_as_numpy_makes_it(tmp_path: Path) -> None:
    matrix, late = whole_numbers(np.random.default_rng(4))
    model = make_pipeline(Normalizer("max"), OneHotEncoder(handle_unknown="ignore"), LIGHTGBM).fit(matrix, late)
    demand_storable(model, LATE)
    for artifact in packed(model, tmp_path, matrix_features(matrix)):
        assert same(artifact.predict(matrix_columns(matrix)), model.predict_proba(matrix))
