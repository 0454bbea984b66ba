"""Permutation importances: by how much a metric gets worse when one feature's values are shuffled (Breiman 2001)."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from typing import Any

import numpy as np
import pandas as pd

from penstock.artifact.native import Artifact
from penstock.training.evaluation import score_of
from penstock.training.metrics import Values

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
    unshuffled = score_of(artifact.predict(sample))
    whole = metric(outcome[rows], unshuffled)
    orders = {name: np.concatenate([random.permutation(count) for _ in range(SHUFFLES)]) for name in sample}

    def losses(name: str) -> tuple[float, float]:
        """Of one feature; only rows whose value the shuffling changes are asked again."""
        shuffled, values = sample[name][orders[name]], np.concatenate([sample[name]] * SHUFFLES)
        changed = np.flatnonzero((shuffled != values) & ~(pd.isna(shuffled) & pd.isna(values)))
        scores = np.concatenate([unshuffled] * SHUFFLES)
        asked = {other: kept[changed % count] for other, kept in sample.items()} | {name: shuffled[changed]}
        scores[changed] = score_of(artifact.predict(asked))
        found = [sign * (whole - metric(outcome[rows], one)) for one in np.split(scores, SHUFFLES)]
        return float(np.nan_to_num(np.mean(found))), float(np.nan_to_num(np.std(found)))

    # The kernel lets go of the interpreter, so threads walk the trees on all cores; a feature's shuffles are walked at
    # once, because each return to the interpreter waits for those that hold it.
    with ThreadPoolExecutor(cpu_count()) as pool:
        return dict(zip(sample, pool.map(losses, sample), strict=True))
