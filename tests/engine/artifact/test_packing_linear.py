"""Linear models: within 1e-12 of scikit-learn, whose sums go through BLAS in another order."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import (
    ElasticNet,
    GammaRegressor,
    Lasso,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    SGDClassifier,
    SGDRegressor,
    TweedieRegressor,
)

from penstock.errors import ContractError
from tests.engine.artifact.random_models import matrix_columns, matrix_features, packed

MODELS: list[Any] = [
    LinearRegression(),
    LinearRegression(fit_intercept=False),
    Ridge(),
    Lasso(alpha=0.01),
    ElasticNet(alpha=0.01),
    SGDRegressor(max_iter=20, random_state=0),
    PoissonRegressor(max_iter=20),
    GammaRegressor(max_iter=20),
    TweedieRegressor(power=1.5, max_iter=20),
    TweedieRegressor(power=0, max_iter=20),
    LogisticRegression(),
    LogisticRegression(solver="newton-cholesky", C=100.0),
    SGDClassifier(loss="log_loss", max_iter=20, random_state=0),
    SGDClassifier(loss="modified_huber", max_iter=20, random_state=0),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("model", MODELS, ids=str)
def test_linear_models_predict_within_1e_12(model: Any, tmp_path: Path) -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        rows, width = int(rng.integers(20, 80)), int(rng.integers(1, 30))
        matrix = rng.normal(size=(rows, width)) * rng.choice([0.1, 1.0, 3.0], size=width)
        matrix[:, rng.integers(width)] = 1.0
        score = matrix[:, 0] + 0.5 * rng.normal(size=rows)
        if hasattr(model, "predict_proba") or "Classifier" in str(model) or "Logistic" in str(model):
            classes = int(rng.integers(2, 5))
            model.fit(matrix, np.digitize(score, np.quantile(score, np.linspace(0, 1, classes + 1)[1:-1])))
        else:
            model.fit(matrix, np.exp(score / 3))
        asked = rng.normal(size=(30, width)) * 2
        expected = model.predict_proba(asked) if hasattr(model, "classes_") else model.predict(asked)
        for artifact in packed(model, tmp_path, matrix_features(matrix)):
            found = artifact.predict(matrix_columns(asked))
            assert found.shape == expected.shape
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
            one = artifact.predict(matrix_columns(asked[:1]))
            np.testing.assert_allclose(one, expected[:1], rtol=1e-12, atol=1e-12)
            assert len(artifact.predict(matrix_columns(asked[:0]))) == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_linear_models_refuse_what_is_not_finite_by_the_name_of_the_column(bad: float, tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).normal(size=(30, 2))
    for artifact in packed(Ridge().fit(matrix, matrix[:, 0]), tmp_path, matrix_features(matrix)):
        with pytest.raises(ContractError, match=rf"'x1'.*{bad}"):
            artifact.predict({"x0": np.zeros(2), "x1": np.array([1.0, bad])})
