"""What a step makes of columns decides whether the next is packed: bits that are rounded otherwise, stored zeros."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostClassifier
from lightgbm import LGBMClassifier
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfTransformer
from sklearn.feature_selection import SelectFromModel, SelectKBest, VarianceThreshold
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier
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
HOT_BYTES = OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.int8)
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
    for steps in (beside, make_pipeline(KBinsDiscretizer(3), PCA(2, random_state=0)), other_column):
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


def test_quantiles_of_a_sparse_matrix_with_zeros_in_it_are_refused_before_the_fit() -> None:
    twice = make_pipeline(HOT, QuantileTransformer(n_quantiles=9), QuantileTransformer(n_quantiles=9), LIGHTGBM)
    with pytest.raises(
        UnsupportedEstimator, match=r"QuantileTransformer is packed behind.*a dense matrix before Quantile"
    ):
        demand_storable(twice, LATE)


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


SMALL: dict[str, Any] = {
    "truth values": make_pipeline(MissingIndicator(features="all"), FunctionTransformer(np.expm1)),
    "truth values of numpy": make_pipeline(FunctionTransformer(np.isnan), FunctionTransformer(np.exp)),
    "codes": make_pipeline(OrdinalEncoder(dtype=np.int8), VarianceThreshold(), FunctionTransformer(np.sqrt)),
    "chosen codes": make_pipeline(OrdinalEncoder(dtype=np.int8), SelectKBest(k=2), FunctionTransformer(np.sqrt)),
    "shares of codes": make_pipeline(OrdinalEncoder(dtype=int), FunctionTransformer(np.reciprocal)),
    "side by side": make_pipeline(make_union(HOT_BYTES, HOT_BYTES), "passthrough", FunctionTransformer(np.tanh)),
}


@pytest.mark.filterwarnings("ignore:.* encountered in")
@pytest.mark.parametrize("name", SMALL)
def test_functions_of_small_integers_are_left_to_numpy(name: str, tmp_path: Path) -> None:
    steps = SMALL[name]
    with pytest.raises(UnsupportedEstimator, match=r"numpy computes .* otherwise than of float64"):
        demand_storable(make_pipeline(steps, LIGHTGBM), LATE)
    matrix, late = whole_numbers(np.random.default_rng(6))
    model = make_pipeline(steps, DecisionTreeClassifier())
    demand_storable(model, LATE)
    pack(model.fit(matrix, late), tmp_path / "model", features=matrix_features(matrix), metadata={})
    artifact = load(tmp_path / "model")
    assert artifact.fallback is not None
    assert same(artifact.predict(matrix_columns(matrix)), model.predict_proba(matrix))


def test_functions_of_integers_beside_others_are_packed(tmp_path: Path) -> None:
    matrix, late = whole_numbers(np.random.default_rng(7))
    beside = make_column_transformer((HOT_BYTES, [0]), remainder="passthrough", sparse_threshold=0)
    for steps in (beside, make_pipeline(HOT_BYTES, MaxAbsScaler()), OrdinalEncoder(dtype=int)):
        model = make_pipeline(steps, FunctionTransformer(np.square), LIGHTGBM)
        demand_storable(model, LATE)
        for artifact in packed(model.fit(matrix, late), tmp_path, matrix_features(matrix)):
            assert same(artifact.predict(matrix_columns(matrix)), model.predict_proba(matrix))


def test_numbers_as_categories_of_catboost_are_refused_where_something_is_around_it() -> None:
    codes = make_column_transformer((OrdinalEncoder(dtype=int), ["text"]), remainder="passthrough")
    model = make_pipeline(codes.set_output(transform="pandas"), CatBoostClassifier(cat_features=[0]))
    with pytest.raises(UnsupportedEstimator, match="numbers as categories"):
        demand_storable(model, LATE)
