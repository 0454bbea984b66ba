"""The metrics of each task, and their error bars.

- A score is the probability of the second class (n,), the probabilities of several classes (n, k), or the value (n,)
  of a regressor, or its values (n, k). Of a classifier without probabilities it is the place of its label, then its
  decision scores: (n, 2), or (n, 1 + k).
- An outcome is 0 or 1, the index of the class, or the value, or the values (n, k).
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from penstock.declare.metrics import MetricName, Task
from penstock.declare.model import Bound, Model

Values = np.ndarray[Any, np.dtype[np.float64]]
WeightedMetric = Callable[[Values], float]
"""A metric of fixed rows as a function of how often each one counts, shape (n,): whole numbers in a bootstrap."""
ROUNDS = 200


class Metric:
    """A metric: a call returns its value on outcomes and scores; `weighted` returns it as a function of row counts."""

    def __init__(self, weighted: Callable[[Values, Values], WeightedMetric]) -> None:
        self.weighted = weighted
        self.__doc__ = weighted.__doc__

    def __call__(self, outcome: Values, score: Values) -> float:
        """The value on all n rows."""
        return self.weighted(outcome, score)(np.ones(len(outcome)))


@Metric
def roc_auc(outcome: Values, score: Values) -> WeightedMetric:
    """Area under the ROC curve of n 0/1 outcomes, by the rank sum of Mann and Whitney; ties count half.

    NaN where all outcomes are equal. The rows are sorted once, not once per bootstrap draw: the negatives by score, and
    for each positive the range of negatives with its score.
    """
    negative, positive = np.flatnonzero(outcome != 1), np.flatnonzero(outcome == 1)
    order = negative[np.argsort(score[negative], kind="stable")]
    first, last = (np.searchsorted(score[order], score[positive], side=side) for side in ("left", "right"))

    def area(counts: Values) -> float:
        drawn = counts[positive]
        below = np.concatenate([[0.0], np.cumsum(counts[order])])
        pairs = float(drawn.sum() * below[-1])
        return float(np.sum(drawn * (below[first] + below[last])) / 2 / pairs) if pairs else float("nan")

    return area


@Metric
def roc_auc_ovr(outcome: Values, score: Values) -> WeightedMetric:
    """The mean over the classes of the area of each one against the rest; classes without rows are left out."""
    areas = [roc_auc.weighted((outcome == k).astype(np.float64), score[:, k]) for k in range(score.shape[1])]

    def mean(counts: Values) -> float:
        found = [area(counts) for area in areas]
        known = [area for area in found if not np.isnan(area)]
        return float(np.mean(known)) if known else float("nan")

    return mean


@Metric
def log_loss(outcome: Values, score: Values) -> WeightedMetric:
    """Mean negative log likelihood of n outcomes, in nats; probabilities are kept off 0 and 1."""
    if score.ndim == 2:
        score = score[np.arange(len(outcome)), outcome.astype(np.int64)]
        return _mean(-np.log(np.clip(score, 1e-15, 1.0)))
    kept = np.clip(score, 1e-15, 1 - 1e-15)
    return _mean(-(outcome * np.log(kept) + (1 - outcome) * np.log(1 - kept)))


@Metric
def brier(outcome: Values, score: Values) -> WeightedMetric:
    """Mean squared difference of n probabilities and 0/1 outcomes (Brier 1950)."""
    return _mean((score - outcome) ** 2)


@Metric
def accuracy(outcome: Values, score: Values) -> WeightedMetric:
    """Share of the rows whose most probable class is the outcome; the first of equally probable classes wins."""
    best = score.argmax(axis=1) if score.ndim == 2 else score > 0.5
    return _mean((best == outcome).astype(np.float64))


@Metric
def mae(outcome: Values, score: Values) -> WeightedMetric:
    """Mean absolute error, in the outcome's unit."""
    return _mean(np.abs(score - outcome))


@Metric
def rmse(outcome: Values, score: Values) -> WeightedMetric:
    """Square root of the mean squared error, in the outcome's unit."""
    squared = _mean((score - outcome) ** 2)
    return lambda counts: float(np.sqrt(squared(counts)))


@Metric
def r2(outcome: Values, score: Values) -> WeightedMetric:
    """Coefficient of determination: 1 less the share of the outcome's variance that is left; NaN without variance."""
    left = (score - outcome) ** 2

    def explained(counts: Values) -> float:
        middle = float(np.sum(counts * outcome) / np.sum(counts))
        whole = float(np.sum(counts * (outcome - middle) ** 2))
        return 1.0 - float(np.sum(counts * left)) / whole if whole > 0 else float("nan")

    return explained


def score_of(predictions: Values, task: Task) -> Values:
    """The score of each row: the probability of the second of two classes, shape (n,); else the prediction itself."""
    return predictions[:, 1] if task == "binary" else predictions


METRICS: dict[MetricName, Metric] = {
    "roc_auc": roc_auc,
    "roc_auc_ovr": roc_auc_ovr,
    "log_loss": log_loss,
    "brier": brier,
    "accuracy": accuracy,
    "rmse": rmse,
    "mae": mae,
    "r2": r2,
}


def metric_of(task: Task, metric: MetricName, place: int | None = None) -> Metric:
    """The metric of scores as models of the task have them. Of several values it is that of the one at `place`, or the
    mean over them."""
    own = METRICS[metric]
    if task in ("binary_scores", "multiclass_scores"):
        if metric == "accuracy":
            return Metric(lambda outcome, score: _mean((score[:, 0] == outcome).astype(np.float64)))
        ranked = 1 if task == "binary_scores" else slice(1, None)
        return Metric(lambda outcome, score: own.weighted(outcome, score[:, ranked]))
    if task != "values":
        return own
    if place is not None:
        return Metric(lambda outcome, score: own.weighted(outcome[:, place], score[:, place]))

    def mean(outcome: Values, score: Values) -> WeightedMetric:
        each = [own.weighted(outcome[:, at], score[:, at]) for at in range(score.shape[1])]
        return lambda counts: float(np.mean([one(counts) for one in each]))

    return Metric(mean)


def of_bound(model: Model, bound: Bound) -> Metric:
    """The metric of a bound of the model's gate."""
    names = [value.name for value in model.contract.output.values]
    return metric_of(model.task, bound.metric, names.index(bound.of) if bound.of else None)


def intervals(
    rows: int, measured: Mapping[str, WeightedMetric], *, rounds: int = ROUNDS
) -> dict[str, tuple[float, float]]:
    """The 95% percentile interval of each of the functions over the same bootstrap draws of n rows.

    Rows are drawn with replacement by a fixed seed, so the same rows give the same intervals.
    """
    random = np.random.default_rng(0)
    drawn: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(rounds if rows else 0):
        counts = np.bincount(random.integers(0, rows, rows), minlength=rows).astype(np.float64)
        for name, function in measured.items():
            drawn[name].append(function(counts))
    return {name: _middle(values) for name, values in drawn.items()}


def difference(metric: Metric, outcome: Values, score: Values, other: Values) -> WeightedMetric:
    """The metric of `score` minus that of `other`, on the same rows."""
    mine, theirs = metric.weighted(outcome, score), metric.weighted(outcome, other)
    return lambda counts: mine(counts) - theirs(counts)


def _middle(drawn: list[float]) -> tuple[float, float]:
    known = [value for value in drawn if not np.isnan(value)]
    if not known:
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def _mean(losses: Values) -> WeightedMetric:
    """The weighted mean of one number per row. numpy's own sum gives the same bits whatever the number of threads."""
    return lambda counts: float(np.sum(losses * counts) / np.sum(counts)) if len(losses) else float("nan")
