"""Contributions to CatBoost's scores: its own, and where those do not add up, the Shapley values of its trees."""

import itertools
import json
import math
from pathlib import Path
from typing import Any

import catboost
import numpy as np
import pytest

from tests.engine.artifact.random_models import matrix_columns, matrix_features, packed
from tests.engine.artifact.test_contributions import adds_up, outcome, rows_of

Node = dict[str, Any]


def fitted(matrix: np.ndarray, grow_policy: str, **options: Any) -> Any:
    options = {"grow_policy": grow_policy, "verbose": 0, "allow_writing_files": False} | options
    return catboost.CatBoostRegressor(**options).fit(matrix, outcome(matrix))


def weight(node: Node) -> float:
    return float(node["weight"]) if "value" in node else weight(node["left"]) + weight(node["right"])


def value(node: Node, row: np.ndarray, known: set[int]) -> float:
    """What a tree is expected to say where the features `known` are: at other splits by the training rows."""
    if "value" in node:
        return float(node["value"])
    split = node["split"]
    if split["float_feature_index"] in known:
        side = "right" if np.float32(row[split["float_feature_index"]]) > np.float32(split["border"]) else "left"
        return value(node[side], row, known)
    left, right = weight(node["left"]), weight(node["right"])
    if not left + right:
        left = right = 1.0
    return (left * value(node["left"], row, known) + right * value(node["right"], row, known)) / (left + right)


def shapley(trees: list[Node], row: np.ndarray) -> list[float]:
    """By the definition: over all coalitions."""
    count, made = len(row), []
    for feature in range(count):
        others = [other for other in range(count) if other != feature]
        total = 0.0
        for size in range(count):
            share = 1 / (count * math.comb(count - 1, size))
            for known in map(set, itertools.combinations(others, size)):
                gain = sum(value(tree, row, known | {feature}) - value(tree, row, known) for tree in trees)
                total += share * gain
        made.append(total)
    return made


@pytest.mark.parametrize(("grow_policy", "depth"), [("SymmetricTree", 6), ("Depthwise", 2), ("Lossguide", 2)])
def test_contributions_are_those_of_catboost_where_each_leaf_has_rows(
    grow_policy: str, depth: int, tmp_path: Path
) -> None:
    matrix = rows_of(13)
    model = fitted(matrix, grow_policy, iterations=15, depth=depth)
    said = model.get_feature_importance(catboost.Pool(matrix[:20]), type="ShapValues")
    for artifact in packed(model, tmp_path, matrix_features(matrix), matrix_columns(matrix)):
        found = artifact.explain(matrix_columns(matrix[:20]))
        assert adds_up(found)
        assert found.method == "exact"
        assert np.allclose(found.contributions[:, 0], said[:, :-1], rtol=0, atol=1e-9 * np.abs(said).max())


@pytest.mark.parametrize("grow_policy", ["Depthwise", "Lossguide"])
def test_where_catboost_does_not_add_up_contributions_are_shapley_values(grow_policy: str, tmp_path: Path) -> None:
    matrix = rows_of(13)
    model = fitted(matrix, grow_policy, iterations=3, depth=5)
    said = model.get_feature_importance(catboost.Pool(matrix[:4]), type="ShapValues")
    assert np.abs(said.sum(axis=1) - model.predict(matrix[:4])).max() > 0.01, "its sums are not the prediction"
    model.save_model(str(tmp_path / "json"), format="json")
    trees = json.loads((tmp_path / "json").read_text())["trees"]
    expected = [shapley(trees, row) for row in matrix[:4]]
    for artifact in packed(model, tmp_path, matrix_features(matrix), matrix_columns(matrix)):
        found = artifact.explain(matrix_columns(matrix[:4]))
        assert adds_up(found)
        assert np.allclose(found.contributions[:, 0], expected, rtol=0, atol=1e-9)
