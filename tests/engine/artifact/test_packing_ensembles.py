"""Estimators over estimators: the same probabilities and values as scikit-learn, in both kernels."""

from pathlib import Path

import numpy as np
import pytest

from tests.engine.artifact.estimator_table import PACKED, fitted
from tests.engine.artifact.random_models import matrix_columns, matrix_features, near, packed, same

ROWS = 60


@pytest.mark.parametrize("name", PACKED)
def test_it_answers_what_scikit_learn_does_and_both_kernels_alike(name: str, tmp_path: Path) -> None:
    entry = PACKED[name]
    for seed in range(3):
        rng = np.random.default_rng([seed, len(name)])
        model, matrix = fitted(entry, rng)
        asked = near(rng, matrix, matrix.ravel(), ROWS)
        expected = model.predict_proba(asked) if hasattr(model, "classes_") else model.predict(asked)
        found = [
            artifact.predict(matrix_columns(asked)) for artifact in packed(model, tmp_path, matrix_features(matrix))
        ]
        np.testing.assert_allclose(found[0], expected, rtol=entry.apart, atol=entry.apart)
        assert len(found) == 1 or same(found[0], found[1])
        alone = packed(model, tmp_path, matrix_features(matrix))[0].predict(matrix_columns(asked[:1]))
        assert same(alone[0], found[0][0])
