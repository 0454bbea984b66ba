"""Contributions by comparison with training rows: bounded in scored rows and in time, and they add up."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from penstock.artifact.explaining.explainer import ExplanationTimeout
from penstock.artifact.explaining.interventional import interventional
from penstock.artifact.load import load
from penstock.artifact.packing.pack import pack
from tests.engine.artifact.random_models import matrix_columns, matrix_features


def test_a_comparison_of_many_features_is_bounded_and_adds_up(tmp_path: Path) -> None:
    matrix = np.random.default_rng(8).normal(size=(200, 25))
    model = KNeighborsClassifier().fit(matrix, matrix[:, 0] > 0)
    pack(model, tmp_path / "model", features=matrix_features(matrix), metadata={}, background=matrix_columns(matrix))
    artifact = load(tmp_path / "model")
    found = artifact.explain(matrix_columns(matrix[:2]))
    assert found.method == "interventional"
    assert np.allclose(found.base + found.contributions.sum(axis=2), found.scores, rtol=0, atol=1e-9)
    assert np.array_equal(found.scores, model.predict_proba(matrix[:2]))
    assert np.array_equal(found.contributions, artifact.explain(matrix_columns(matrix[:2])).contributions)


@pytest.mark.parametrize("count", [3, 6, 7, 25, 300])
def test_one_row_costs_a_bounded_number_of_scored_rows(count: int) -> None:
    rng = np.random.default_rng(count)
    background, row = matrix_columns(rng.normal(size=(100, count))), matrix_columns(rng.normal(size=(1, count)))
    asked: list[int] = []

    def score(columns: Any) -> np.ndarray:
        asked.append(len(columns["x0"]))
        return np.sum([np.sin(values) for values in columns.values()], axis=0)[:, None] ** 2

    for most in (10_000, 2_000):
        asked.clear()
        made, base = interventional(score, row, background, list(background), most)
        assert 0 < sum(asked) <= most
        assert np.allclose(base + made.sum(axis=0), score(row)[0], rtol=0, atol=1e-9)


def test_a_comparison_ends_when_its_time_is_over_and_says_how_far_it_came(tmp_path: Path) -> None:
    matrix = np.random.default_rng(8).normal(size=(3_000, 25))
    model = KNeighborsClassifier(algorithm="brute").fit(matrix, matrix[:, 0] > 0)
    pack(model, tmp_path / "model", features=matrix_features(matrix), metadata={}, background=matrix_columns(matrix))
    artifact = load(tmp_path / "model")
    whole = artifact.explain(matrix_columns(matrix[:1]), 60.0)
    assert np.array_equal(whole.contributions, artifact.explain(matrix_columns(matrix[:1])).contributions)
    began = time.monotonic()
    with pytest.raises(ExplanationTimeout, match=r"those to 3000 predictions within 0.3 s, found those to \d+\."):
        artifact.explain(matrix_columns(matrix), 0.3)
    assert time.monotonic() - began < 10
