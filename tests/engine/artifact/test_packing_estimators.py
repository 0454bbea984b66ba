"""Estimators over estimators: the same probabilities and values as scikit-learn, in both kernels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import AdaBoostClassifier, AdaBoostRegressor, RandomForestClassifier
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import make_scorer, precision_score
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline

from penstock.artifact.load import load
from penstock.artifact.packing.pack import pack
from penstock.errors import ContractError, PenstockError, UnsupportedEstimator
from penstock.journal.answers import PredictionForm, chosen_classes
from tests.engine.artifact.estimator_entries import fitted
from tests.engine.artifact.estimator_table import PACKED
from tests.engine.artifact.random_models import matrix_columns, matrix_features, near, packed, same
from tests.slow import seeded

ROWS = 60


@seeded(1, 3)
@pytest.mark.parametrize("name", PACKED)
def test_it_answers_what_scikit_learn_does_and_both_kernels_alike(name: str, seeds: range, tmp_path: Path) -> None:
    assert seeds
    entry = PACKED[name]
    for seed in seeds:
        rng = np.random.default_rng([seed, len(name)])
        model, matrix = fitted(entry, rng)
        asked = near(rng, matrix, matrix.ravel(), ROWS)
        expected = model.predict_proba(asked) if hasattr(model, "predict_proba") else model.predict(asked)
        found = [
            artifact.predict(matrix_columns(asked)) for artifact in packed(model, tmp_path, matrix_features(matrix))
        ]
        np.testing.assert_allclose(found[0], expected, rtol=entry.apart, atol=entry.apart)
        assert len(found) == 1 or same(found[0], found[1])
        alone = packed(model, tmp_path, matrix_features(matrix))[0].predict(matrix_columns(asked[:1]))
        assert same(alone[0], found[0][0])


def test_a_boosted_line_votes_by_its_scores_where_its_probabilities_are_equal(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    matrix = random.normal(size=(200, 2))
    model = AdaBoostClassifier(LogisticRegression(fit_intercept=False), n_estimators=5)
    model.fit(matrix, matrix[:, 0] + random.normal(size=200) > 0)
    asked = np.array([[1e-45, 0.0], [-1e-45, 0.0], [0.0, 1e-45], [0.0, -1e-45], [0.0, 0.0]])
    expected = model.predict_proba(asked)
    assert len(set(expected[:, 1])) > 1
    for artifact in packed(model, tmp_path, matrix_features(matrix)):
        np.testing.assert_allclose(artifact.predict(matrix_columns(asked)), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("model", [AdaBoostClassifier(n_estimators=2), AdaBoostRegressor(n_estimators=2)])
def test_what_scikit_learn_refuses_though_its_trees_would_take_it_is_refused(model: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(60, 2))
    model.fit(matrix, (matrix[:, 0] > 0).astype(int))
    matrix[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        model.predict(matrix)
    for artifact in packed(model, tmp_path, matrix_features(matrix)):
        with pytest.raises(ContractError, match="column 'x1'"):
            artifact.predict(matrix_columns(matrix))


def test_a_selector_that_allows_nan_takes_infinity_in_a_column_that_it_drops(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(60, 3))
    model = make_pipeline(SelectFromModel(forest(), max_features=1, threshold=-np.inf), forest())
    model.fit(matrix, (matrix[:, 0] > 0).astype(int))
    matrix[:, 2] = rng.choice([np.inf, -np.inf, np.nan], size=60)
    for artifact in packed(model, tmp_path, matrix_features(matrix)):
        assert same(artifact.predict(matrix_columns(matrix)), model.predict_proba(matrix))


def test_what_always_answers_the_same_and_reads_no_column_is_stored(tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).normal(size=(60, 3))
    model = make_pipeline(SelectFromModel(Ridge(), threshold=np.inf), DummyRegressor()).fit(matrix, matrix[:, 0])
    with pytest.raises(UnsupportedEstimator, match="at least one column, found none"):
        packed(model, tmp_path, matrix_features(matrix))
    pack(model, tmp_path / "m", features=matrix_features(matrix), metadata={})
    assert same(load(tmp_path / "m").predict(matrix_columns(matrix)), model.predict(matrix))


def forest() -> RandomForestClassifier:
    return RandomForestClassifier(7, max_depth=3, random_state=0)


THRESHOLDS = {
    "fixed": lambda: FixedThresholdClassifier(forest(), threshold=0.3),
    "fixed, of the first class": lambda: FixedThresholdClassifier(forest(), threshold=0.3, pos_label=0),
    "tuned": lambda: TunedThresholdClassifierCV(forest(), scoring="recall", cv=2),
    "tuned, of the first class": lambda: TunedThresholdClassifierCV(
        forest(), scoring=make_scorer(precision_score, pos_label=0), cv=2
    ),
    "found by a search": lambda: GridSearchCV(FixedThresholdClassifier(forest()), {"threshold": [0.2]}, cv=2),
}


@pytest.mark.parametrize("kind", THRESHOLDS)
def test_a_threshold_decides_the_class_and_leaves_the_probabilities(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(300, 3))
    model = THRESHOLDS[kind]().fit(matrix, (matrix[:, 0] + rng.normal(size=300) > 0).astype(int))
    differ = 0
    for artifact in packed(model, tmp_path, matrix_features(matrix)):
        found = artifact.predict(matrix_columns(matrix))
        assert same(found, model.predict_proba(matrix))
        form = PredictionForm((), (), artifact.scores, artifact.threshold, artifact.conformal)
        assert chosen_classes(found, form) == model.predict(matrix).tolist()
        differ += int(np.sum(found.argmax(axis=1) != model.predict(matrix)))
    assert differ > 0


def test_a_row_that_no_classifier_of_one_class_takes_has_no_probability_of_any(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(200, 2))
    label = np.digitize(matrix[:, 0] + rng.normal(size=200), [-0.5, 0.5])
    forest = RandomForestClassifier(3, bootstrap=False, random_state=0)
    asked = rng.normal(size=(500, 2))
    for classes in (label, label > 0):
        model = OneVsRestClassifier(forest).fit(matrix, classes)
        expected = model.predict_proba(asked)
        assert (expected.sum(axis=1) == 0).any() == (model.n_classes_ == 3)
        for artifact in packed(model, tmp_path, matrix_features(matrix)):
            assert same(artifact.predict(matrix_columns(asked)), expected)


def test_a_tuned_threshold_that_is_no_number_is_refused_by_name(tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).normal(size=(80, 2))
    model = TunedThresholdClassifierCV(LogisticRegression(), cv=2).fit(matrix, matrix[:, 0] > 0)
    model.best_threshold_ = np.nan  # as scores that are no numbers leave it
    with pytest.raises(PenstockError, match=r"threshold of TunedThresholdClassifierCV: expected a number, found nan"):
        packed(model, tmp_path, matrix_features(matrix))
