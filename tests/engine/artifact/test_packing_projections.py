"""Projections of columns that add up to others: components of nothing but rounding, which no other computation has."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lightgbm import LGBMRegressor
from sklearn.decomposition import PCA, FastICA, IncrementalPCA, TruncatedSVD
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from xgboost import XGBRegressor

from penstock.errors import PenstockError
from tests.engine.artifact.random_models import matrix_columns, matrix_features, packed

RNG = np.random.default_rng(0)
CODES = RNG.integers(0, 5, size=(300, 2)).astype(float)
TARGET = CODES @ [1.0, -2.0] + RNG.normal(size=300)
SAID = r"expected components that hold more than rounding.*n_components.*drop='first'"


def encoded(*steps: Any, **options: Any) -> Any:
    return make_pipeline(OneHotEncoder(sparse_output=False, **options), *steps)


@pytest.mark.parametrize("boosting", [XGBRegressor, LGBMRegressor, HistGradientBoostingRegressor])
@pytest.mark.parametrize("projection", [PCA(svd_solver="full"), IncrementalPCA()])
def test_trees_that_compare_rounding_are_refused(projection: Any, boosting: Any, tmp_path: Path) -> None:
    model = encoded(projection, boosting()).fit(CODES, TARGET)
    thing = f"{type(projection).__name__} before {boosting.__name__}"
    with pytest.raises(PenstockError, match=f"{thing}: {SAID}"):
        packed(model, tmp_path, matrix_features(CODES))


def test_it_is_the_same_of_terms_that_say_the_same(tmp_path: Path) -> None:
    model = encoded(TruncatedSVD(10), LGBMRegressor()).fit(CODES, TARGET)
    with pytest.raises(PenstockError, match=f"TruncatedSVD before LGBMRegressor: {SAID}"):
        packed(model, tmp_path, matrix_features(CODES))


@pytest.mark.parametrize("projection", [PCA(whiten=True, svd_solver="full"), IncrementalPCA(whiten=True), FastICA()])
def test_rounding_that_a_step_enlarges_is_refused(projection: Any, tmp_path: Path) -> None:
    model = encoded(projection, Ridge()).fit(CODES, TARGET)
    with pytest.raises(PenstockError, match=f"{type(projection).__name__}: {SAID}"):
        packed(model, tmp_path, matrix_features(CODES))


@pytest.mark.parametrize(
    "model",
    [
        encoded(PCA(), Ridge()),
        encoded(PCA(), RandomForestRegressor(5)),
        encoded(PCA(8, random_state=0), XGBRegressor()),
        encoded(PCA(whiten=True, random_state=0), XGBRegressor(), drop="first"),
        encoded(FastICA(random_state=0), LGBMRegressor(), drop="first"),
        encoded(TruncatedSVD(4, random_state=0), LGBMRegressor()),
    ],
    ids=lambda model: f"{type(model[1]).__name__} {type(model[2]).__name__}",
)
def test_what_does_not_depend_on_rounding_is_packed(model: Any, tmp_path: Path) -> None:
    expected = model.fit(CODES, TARGET).predict(CODES)
    for artifact in packed(model, tmp_path, matrix_features(CODES)):
        assert np.abs(artifact.predict(matrix_columns(CODES)) - expected).max() < 1e-10
