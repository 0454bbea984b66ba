"""Contributions of XGBoost's dart: those of its weighted trees, which the shap package leaves unweighted."""

import json
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import xgboost

from tests.engine.artifact.random_models import matrix_columns, matrix_features, numbers, packed


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_contributions_of_dart_are_those_of_its_weighted_trees(classes: int, tmp_path: Path) -> None:
    matrix = numbers(np.random.default_rng(5), 300, 4, missing=0.1)
    score = np.nan_to_num(matrix[:, 0] + matrix[:, 1] * matrix[:, 2])
    target = np.digitize(score, np.quantile(score, np.linspace(0, 1, classes + 1)[1:-1])) if classes else score
    objective = ("reg:squarederror", "", "binary:logistic", "multi:softprob")[classes]
    options = {"booster": "dart", "rate_drop": 0.5, "max_depth": 3, "objective": objective, "nthread": 1}
    if classes > 2:
        options["num_class"] = classes
    booster = xgboost.train(options, xgboost.DMatrix(matrix, target), num_boost_round=8)
    weights = json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]["weight_drop"]
    assert min(weights) < 0.9
    asked = matrix[:25]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        explainer = import_module("shap").TreeExplainer(booster, feature_perturbation="tree_path_dependent")
    explainer.model.model_type = "internal"
    single = np.asarray(weights, dtype=np.float32)[:, None, None]
    explainer.model.values = (explainer.model.values.astype(np.float32) * single).astype(np.float64)
    values = np.asarray(explainer.shap_values(asked, check_additivity=False))
    expected = values[:, None, :] if values.ndim == 2 else values.transpose(0, 2, 1)
    for artifact in packed(booster, tmp_path, matrix_features(matrix), matrix_columns(matrix)):
        found = artifact.explain(matrix_columns(asked))
        assert found.method == "exact"
        assert np.allclose(found.base + found.contributions.sum(axis=2), found.scores, rtol=0, atol=1e-9)
        assert np.abs(found.contributions - expected).max() <= 1e-9 * max(1.0, float(np.abs(expected).max()))
