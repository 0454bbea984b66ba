"""How a candidate did on the held-out rows: its scores beside the outcomes and the base rate, and their metrics."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from resources.model import Model
from training.frame import TrainingRows
from training.metrics import METRICS, Values, bootstrap_interval


@dataclass(frozen=True)
class Evaluation:
    """The held-out rows: outcomes and scores of the candidate and of the base rate, shape (n,) each."""

    outcome: Values
    score: Values
    base_rate: Values | None


def evaluate(model: Model, trained_on: TrainingRows, held_out: TrainingRows, predictions: Values) -> Evaluation:
    """The evaluation of predictions for the held-out rows: (n, 2) probabilities, or (n,) values."""
    return Evaluation(held_out.outcome, score_of(predictions), _base_rate(model, trained_on, held_out))


def score_of(predictions: Values) -> Values:
    """The score of each row, shape (n,): the probability of the second class, or the value."""
    return predictions[:, 1] if predictions.ndim == 2 else predictions


def metrics_of(evaluation: Evaluation) -> dict[str, Any]:
    """Every metric by name, the interval of the area, the rows and the share of positive outcomes."""
    low, high = bootstrap_interval(METRICS["roc_auc"], evaluation.outcome, evaluation.score)
    metrics: dict[str, Any] = {name: metric(evaluation.outcome, evaluation.score) for name, metric in METRICS.items()}
    metrics |= {"roc_auc_low": low, "roc_auc_high": high, "rows": len(evaluation.outcome)}
    metrics["outcome_rate"] = float(evaluation.outcome.mean())
    if evaluation.base_rate is not None:
        metrics["roc_auc_base_rate"] = METRICS["roc_auc"](evaluation.outcome, evaluation.base_rate)
    return metrics


def _base_rate(model: Model, trained_on: TrainingRows, held_out: TrainingRows) -> Values | None:
    """The mean training outcome of each held-out row's base-rate group; the overall mean for unseen groups."""
    if model.base_rate_by is None:
        return None
    groups, position = np.unique(model.base_rate_by(trained_on.columns), return_inverse=True)
    means = np.bincount(position, weights=trained_on.outcome) / np.bincount(position)
    wanted = model.base_rate_by(held_out.columns)
    at = np.clip(np.searchsorted(groups, wanted), 0, len(groups) - 1)
    rates: Values = np.where(groups[at] == wanted, means[at], trained_on.outcome.mean())
    return rates
