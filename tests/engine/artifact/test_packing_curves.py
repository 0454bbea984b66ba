"""Curves of single columns at their edges: knots, ends, missing, infinite and refused numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PowerTransformer, QuantileTransformer, SplineTransformer
from sklearn.tree import DecisionTreeRegressor

from penstock.errors import ContractError
from tests.engine.artifact.random_models import matrix_columns, matrix_features, near, packed

CURVES: dict[str, Any] = {
    f"SplineTransformer, {name}": lambda name=name: SplineTransformer(extrapolation=name, handle_missing="zeros")
    for name in ("constant", "linear", "continue", "periodic")
}
CURVES |= {
    f"SplineTransformer, lines of {knots} knots": lambda knots=knots: SplineTransformer(
        knots, degree=1, extrapolation="linear", handle_missing="zeros"
    )
    for knots in (2, 3, 4, 6)
}
CURVES |= {
    "QuantileTransformer, normal": lambda: QuantileTransformer(n_quantiles=20, output_distribution="normal"),
    "QuantileTransformer, uniform": lambda: QuantileTransformer(n_quantiles=20),
    "PowerTransformer": PowerTransformer,
    "PowerTransformer, box-cox": lambda: PowerTransformer("box-cox", standardize=False),
}


@pytest.mark.parametrize("name", CURVES)
def test_a_curve_is_that_of_scikit_learn_at_its_knots_beyond_its_ends_and_where_nothing_is(
    name: str, tmp_path: Path
) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        matrix = np.exp(rng.normal(size=(80, 3)))
        matrix[:, 1] = rng.integers(1, 6, size=80)
        curve = CURVES[name]().fit(matrix)
        model = make_pipeline(curve, DecisionTreeRegressor(max_depth=2)).fit(matrix, matrix[:, 0])
        asked = near(rng, matrix, matrix.ravel(), 200)
        asked = np.abs(np.where(rng.random(asked.shape) < 0.2, asked * 7 + 0.1, asked))
        asked[rng.random(asked.shape) < 0.1] = np.nan
        expected = model[0].transform(asked)
        assert len(expected.T) >= 2
        for artifact in packed(model, tmp_path, matrix_features(matrix)):
            slots = artifact.inputs(matrix_columns(asked))
            for column in expected.T:
                apart = np.abs(slots - column[:, None]) / np.maximum(1, np.abs(column[:, None]))
                apart = np.where(np.isnan(column)[:, None] & np.isnan(slots), 0.0, apart)
                assert np.nanmin(np.max(np.where(np.isnan(apart), np.inf, apart), axis=0)) < 1e-6


@pytest.mark.parametrize("refused", [0.0, -1.0, np.inf])
def test_a_number_that_has_no_logarithm_is_refused_by_its_name(refused: float, tmp_path: Path) -> None:
    matrix = np.exp(np.random.default_rng(0).normal(size=(80, 2)))
    model = make_pipeline(PowerTransformer("box-cox"), DecisionTreeRegressor()).fit(matrix, matrix[:, 0])
    asked = matrix.copy()
    asked[3, 1] = refused
    with pytest.raises(ValueError, match=r"strictly positive|infinity"):
        model.predict(asked)
    for artifact in packed(model, tmp_path, matrix_features(matrix)):
        with pytest.raises(ContractError, match="'x1': expected a number above 0, or no value"):
            artifact.predict(matrix_columns(asked))
        assert [one.row for one in artifact.refusals(matrix_columns(asked))] == [3]


def test_quantiles_of_a_sparse_matrix_leave_its_zeros_alone(tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).integers(4, size=(80, 2)).astype(float)
    for distribution in ("normal", "uniform"):
        quantiles = QuantileTransformer(n_quantiles=20, output_distribution=distribution)
        model = make_pipeline(OneHotEncoder(), quantiles, LogisticRegression()).fit(matrix, matrix[:, 0] > 1)
        for artifact in packed(model, tmp_path, matrix_features(matrix)):
            assert np.abs(artifact.predict(matrix_columns(matrix)) - model.predict_proba(matrix)).max() < 1e-12


def test_splines_that_take_missing_numbers_take_infinite_ones_where_scikit_learn_does(tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).normal(size=(80, 2))
    asked = matrix[:4].copy()
    asked[:, 1] = [np.inf, -np.inf, np.nan, 1e300]
    model = make_pipeline(SplineTransformer(handle_missing="zeros"), LogisticRegression()).fit(matrix, matrix[:, 0] > 0)
    for artifact in packed(model, tmp_path, matrix_features(matrix)):
        assert np.abs(artifact.predict(matrix_columns(asked)) - model.predict_proba(asked)).max() < 1e-12


def test_a_column_of_one_number_has_periodic_curves(tmp_path: Path) -> None:
    matrix = np.column_stack([np.arange(40.0), np.full(40, 3.0)])
    curves = SplineTransformer(n_knots=4, extrapolation="periodic", handle_missing="zeros")
    model = make_pipeline(curves, LogisticRegression()).fit(matrix, matrix[:, 0] > 20)
    asked = np.vstack([matrix, [[3.0, 7.0], [np.nan, np.nan]]])
    for artifact in packed(model, tmp_path, matrix_features(matrix)):
        assert np.abs(artifact.predict(matrix_columns(asked)) - model.predict_proba(asked)).max() < 1e-12


def test_periodic_curves_of_numbers_far_from_their_period_are_those_of_scikit_learn(tmp_path: Path) -> None:
    hours = np.random.default_rng(0).uniform(480_000, 490_000, size=(300, 1))
    curves = SplineTransformer(6, extrapolation="periodic", knots=np.linspace(0.1, 24.07, 6)[:, None])
    model = make_pipeline(curves, Ridge()).fit(hours, np.sin(hours[:, 0] / 24.07 * 2 * np.pi))
    asked = np.concatenate([hours, -hours, hours * 1e9, [[0.1], [24.07], [1e300], [-1e300], [1.7e308]]])
    expected = model.predict(asked)
    for artifact in packed(model, tmp_path, matrix_features(hours)):
        assert np.abs(artifact.predict(matrix_columns(asked)) - expected).max() < 1e-12


@pytest.mark.parametrize("handle_missing", ["error", "zeros"])
def test_where_continued_curves_have_no_end_a_number_is_refused(handle_missing: str, tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).normal(size=(80, 2))
    curves = SplineTransformer(extrapolation="continue", handle_missing=handle_missing)
    model = make_pipeline(curves, HistGradientBoostingRegressor(max_iter=3)).fit(matrix, matrix[:, 0])
    asked = matrix[:4].copy()
    asked[3, 1] = 1e300
    with np.errstate(all="ignore"):
        assert np.isnan(model[0].transform(asked)[3]).any(), "what scikit-learn makes of it is no number"
    for artifact in packed(model, tmp_path, matrix_features(matrix)):
        assert np.array_equal(artifact.predict(matrix_columns(asked[:3])), model.predict(asked[:3]))
        with pytest.raises(ContractError, match=r"'x1': expected a finite number.* found 1e\+300, which is too large"):
            artifact.predict(matrix_columns(asked))
