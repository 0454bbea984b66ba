"""Permutation importances: by how much a metric gets worse when one feature's values are shuffled (Breiman 2001)."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from model_tools.artifact import Artifact
from training.evaluation import score_of
from training.metrics import Values

SAMPLE = 2_000
SHUFFLES = 3


def permutation_importances(
    artifact: Artifact,
    vectors: Mapping[str, np.ndarray[Any, Any]],
    outcome: Values,
    metric: Callable[[Values, Values], float],
    *,
    higher_is_better: bool,
) -> dict[str, tuple[float, float]]:
    """Feature name to mean and standard deviation of the loss over the shuffles; more is more important.

    Asks the packed artifact on at most 2,000 rows, drawn by a fixed seed, so the same rows give the same values.
    """
    random = np.random.default_rng(0)
    count = min(SAMPLE, len(outcome))
    rows = np.sort(random.choice(len(outcome), count, replace=False))
    sample = {feature.name: vectors[feature.name][rows] for feature in artifact.features}
    sign = 1.0 if higher_is_better else -1.0
    whole = metric(outcome[rows], score_of(artifact.predict(sample)))
    found = {}
    for name, values in sample.items():
        shuffled = [sample | {name: values[random.permutation(count)]} for _ in range(SHUFFLES)]
        losses = [sign * (whole - metric(outcome[rows], score_of(artifact.predict(one)))) for one in shuffled]
        found[name] = float(np.nan_to_num(np.mean(losses))), float(np.nan_to_num(np.std(losses)))
    return found
