"""Permutation importances are those of asking every shuffled row, though only those that changed are asked."""

from pathlib import Path

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from penstock.artifact.load import load
from penstock.artifact.packing.pack import pack
from penstock.contract.contract import Feature
from penstock.training.evaluation import SHUFFLES, permutation_importances
from penstock.training.metrics import METRICS

NAMES = ("strong", "rare", "constant", "missing")


def test_each_importance_is_the_loss_of_the_shuffled_rows(tmp_path: Path) -> None:
    random, count = np.random.default_rng(3), 700
    vectors = {
        "strong": random.normal(size=count),
        "rare": (random.random(count) < 0.02).astype(np.float64),
        "constant": np.ones(count),
        "missing": np.where(random.random(count) < 0.8, np.nan, random.normal(size=count)),
    }
    outcome = (vectors["strong"] + vectors["rare"] + np.nan_to_num(vectors["missing"]) > 0.3).astype(np.float64)
    model = RandomForestClassifier(20, random_state=0).fit(np.column_stack([*vectors.values()]), outcome)
    path = tmp_path / "model"
    pack(model, path, features=[Feature(name, "number") for name in NAMES], metadata={})
    artifact, area = load(path), METRICS["roc_auc"]

    found = permutation_importances(artifact, vectors, outcome, area, higher_is_better=True)

    drawn = np.random.default_rng(0)
    drawn.choice(count, count, replace=False)
    whole = area(outcome, artifact.predict(vectors)[:, 1])
    for name in NAMES:
        orders = [drawn.permutation(count) for _ in range(SHUFFLES)]
        scores = [artifact.predict(vectors | {name: vectors[name][order]})[:, 1] for order in orders]
        losses = [whole - area(outcome, one) for one in scores]
        assert found[name] == (float(np.mean(losses)), float(np.std(losses)))
    assert found["constant"] == (0.0, 0.0)
    assert found["strong"] > found["missing"] > found["rare"] > (0.0, 0.0)
