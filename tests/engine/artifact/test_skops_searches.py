"""Searches and thresholds around what is not packed: what answers is stored, and not what searched."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, TunedThresholdClassifierCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from penstock.artifact.load import load
from penstock.artifact.packing.pack import pack
from penstock.errors import UnsupportedEstimator
from penstock.journal.answers import PredictionForm, chosen_classes
from tests.engine.artifact.random_models import matrix_columns, matrix_features
from tests.engine.artifact.test_skops_artifact import LATE, MATRIX

NEIGHBOURS = KNeighborsClassifier(algorithm="brute")
SEARCHES = {
    "a search": lambda: GridSearchCV(NEIGHBOURS, {"n_neighbors": [2, 3]}, cv=TimeSeriesSplit(2)),
    "a threshold": lambda: TunedThresholdClassifierCV(NEIGHBOURS, cv=2),
    "a bag of them": lambda: BaggingClassifier(GridSearchCV(NEIGHBOURS, {"n_neighbors": [2, 3]}), n_estimators=2),
    "a pipeline with one": lambda: make_pipeline(StandardScaler(), GridSearchCV(NEIGHBOURS, {"n_neighbors": [2, 3]})),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_of_a_search_what_answers_is_stored_and_a_threshold_stays(name: str, tmp_path: Path) -> None:
    model = SEARCHES[name]().fit(MATRIX, LATE)
    pack(model, tmp_path / "m", features=matrix_features(MATRIX), metadata={})
    artifact = load(tmp_path / "m")
    found = artifact.predict(matrix_columns(MATRIX))
    np.testing.assert_array_equal(found, model.predict_proba(MATRIX))
    assert (artifact.threshold is not None) == (name == "a threshold")
    form = PredictionForm((), (), artifact.scores, artifact.threshold, artifact.conformal)
    assert chosen_classes(found, form) == model.predict(MATRIX).tolist()


def test_a_search_without_a_best_estimator_is_refused(tmp_path: Path) -> None:
    model = GridSearchCV(NEIGHBOURS, {"n_neighbors": [2, 3]}, refit=False).fit(MATRIX, LATE)
    with pytest.raises(UnsupportedEstimator, match="refit=True"):
        pack(model, tmp_path / "m", features=matrix_features(MATRIX), metadata={})
