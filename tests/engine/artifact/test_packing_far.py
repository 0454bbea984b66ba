"""Rows so far from all classes that a classifier by Bayes' rule has no probability that is a number."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import AdaBoostClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB

from tests.engine.artifact.random_models import matrix_columns, matrix_features, packed

MATRIX = np.random.default_rng(0).normal(size=(120, 2))
CLASSES = np.digitize(MATRIX[:, 0] + 0.3 * MATRIX[:, 1], [-0.5, 0.5])
FAR = np.array([[0.1, 0.2], [1e39, 0.0], [1e155, 0.0], [-1e200, 1e160], [0.3, -1e308]])
AROUND = [
    GaussianNB(),
    CalibratedClassifierCV(GaussianNB(), cv=2),
    CalibratedClassifierCV(GaussianNB(), cv=2, method="isotonic"),
    CalibratedClassifierCV(QuadraticDiscriminantAnalysis(), cv=2, method="isotonic"),
    VotingClassifier([("far", GaussianNB()), ("line", LogisticRegression())], voting="soft"),
    AdaBoostClassifier(GaussianNB(), n_estimators=2),
    OneVsRestClassifier(GaussianNB()),
]


def test_rounding_of_large_scores_is_that_of_scikit_learn(tmp_path: Path) -> None:
    matrix = np.column_stack([np.abs(MATRIX), np.zeros(len(MATRIX))])  # the last column is constant in training
    asked = matrix[:40].copy()
    asked[:, 2] = np.linspace(0.0, 1e9, 40)
    model = GaussianNB().fit(matrix, CLASSES)
    expected = model.predict_proba(asked)
    assert np.abs(expected.sum(axis=1) - 1).max() > 1e-9
    for artifact in packed(model, tmp_path, matrix_features(matrix)):
        assert np.abs(artifact.predict(matrix_columns(asked)) - expected).max() < 1e-12


def answer(model: Any, row: np.ndarray) -> np.ndarray:
    """The library's probabilities; NaN where it refuses the row."""
    try:
        return np.asarray(model.predict_proba(row))
    except ValueError:
        return np.full((1, 3), np.nan)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("model", AROUND, ids=lambda model: f"{type(model).__name__} {getattr(model, 'method', '')}")
def test_it_answers_where_scikit_learn_does_and_nothing_where_that_has_no_number(model: Any, tmp_path: Path) -> None:
    model.fit(MATRIX, CLASSES)
    for artifact in packed(model, tmp_path, matrix_features(MATRIX)):
        for row in FAR:
            expected, found = answer(model, row[None]), artifact.predict(matrix_columns(row[None]))
            assert np.isnan(found).any() == np.isnan(expected).any()
            assert np.isnan(found).any() or np.abs(found - expected).max() < 1e-12
