"""How good scores are: metrics of a binary classifier, and their error bars."""

from collections.abc import Callable
from typing import Any

import numpy as np

Values = np.ndarray[Any, np.dtype[np.float64]]


def roc_auc(outcome: Values, score: Values) -> float:
    """Area under the ROC curve of n 0/1 outcomes, by the rank sum of Mann and Whitney; ties count half.

    NaN where all outcomes are alike.
    """
    positives = float(outcome.sum())
    negatives = len(outcome) - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    _, position, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[position]
    return float((rank[outcome == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def log_loss(outcome: Values, score: Values) -> float:
    """Mean negative log likelihood of n 0/1 outcomes, in nats; scores are kept off 0 and 1."""
    kept = np.clip(score, 1e-15, 1 - 1e-15)
    return float(-np.mean(outcome * np.log(kept) + (1 - outcome) * np.log(1 - kept)))


def brier(outcome: Values, score: Values) -> float:
    """Mean squared difference of n probabilities and 0/1 outcomes (Brier 1950)."""
    return float(np.mean((score - outcome) ** 2))


METRICS: dict[str, Callable[[Values, Values], float]] = {"roc_auc": roc_auc, "log_loss": log_loss, "brier": brier}


def bootstrap_interval(
    metric: Callable[[Values, Values], float],
    outcome: Values,
    score: Values,
    other: Values | None = None,
    *,
    rounds: int = 200,
) -> tuple[float, float]:
    """The 95% percentile interval of the metric, or of its difference to that of `other` on the same rows.

    Rows are drawn with replacement by a fixed seed, so the same rows give the same interval.
    """
    random = np.random.default_rng(0)
    drawn = []
    for _ in range(rounds):
        rows = random.integers(0, len(outcome), len(outcome))
        value = metric(outcome[rows], score[rows])
        drawn.append(value if other is None else value - metric(outcome[rows], other[rows]))
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return float(low), float(high)
