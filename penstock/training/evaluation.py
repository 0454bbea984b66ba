"""How a candidate did on the held-out rows: its scores beside the outcomes and the base rate, and their metrics."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from penstock.declare.metrics import MetricName, Task, measures_for
from penstock.declare.model import Model
from penstock.training.frame import TrainingRows
from penstock.training.metrics import METRICS, Values, Weighted, intervals


@dataclass(frozen=True)
class Found:
    """A metric on n rows, with its 95% bootstrap interval; NaN where it cannot be known."""

    value: float
    low: float
    high: float
    rows: int


@dataclass(frozen=True)
class Evaluation:
    """The held-out rows: outcomes and scores of the candidate and of the base rate, as `metrics` has them; every
    metric of the task, and the gate's first one by slice."""

    task: Task
    outcome: Values
    score: Values
    base_rate: Values | None
    metrics: dict[MetricName, Found]
    slices: dict[str, Found]


def evaluate(model: Model, trained_on: TrainingRows, held_out: TrainingRows, predictions: Values) -> Evaluation:
    """The evaluation of predictions for the held-out rows: (n, classes) probabilities, or (n,) values."""
    score = score_of(predictions)
    measured = {name: METRICS[name].weighted(held_out.outcome, score) for name in measures_for(model.task)}
    return Evaluation(
        model.task,
        held_out.outcome,
        score,
        _base_rate(model.task, trained_on, held_out),
        _found(len(held_out.outcome), measured),
        _slices(model, held_out, score),
    )


def score_of(predictions: Values) -> Values:
    """The score of each row: the probability of the second of two classes (n,), else what was predicted."""
    return predictions[:, 1] if predictions.ndim == 2 and predictions.shape[1] == 2 else predictions


def metrics_of(model: Model, evaluation: Evaluation) -> dict[str, Any]:
    """What the ledger says: every metric by name, the interval of the one that judges, the rows, the base rate."""
    judge = model.gate.metric
    metrics: dict[str, Any] = {name: found.value for name, found in evaluation.metrics.items()}
    metrics |= {f"{judge}_low": evaluation.metrics[judge].low, f"{judge}_high": evaluation.metrics[judge].high}
    metrics |= {"judged_by": judge, "rows": len(evaluation.outcome)}
    if evaluation.task != "multiclass":
        metrics["outcome_rate" if evaluation.task == "binary" else "outcome_mean"] = float(evaluation.outcome.mean())
    if evaluation.base_rate is not None:
        metrics[f"{judge}_base_rate"] = METRICS[judge](evaluation.outcome, evaluation.base_rate)
    return metrics


def _slices(model: Model, held_out: TrainingRows, score: Values) -> dict[str, Found]:
    if held_out.slices is None:
        return {}
    metric = METRICS[model.gate.metric]
    found: dict[str, Found] = {}
    for name in sorted(set(held_out.slices)):
        rows = held_out.slices == name
        measured = {str(name): metric.weighted(held_out.outcome[rows], score[rows])}
        found |= _found(int(rows.sum()), measured, rounds=100)
    return found


def _found(rows: int, measured: dict[Any, Weighted], rounds: int = 200) -> dict[Any, Found]:
    spread = intervals(rows, measured, rounds=rounds)
    return {name: Found(weighted(np.ones(rows)), *spread[name], rows) for name, weighted in measured.items()}


def _base_rate(task: Task, trained_on: TrainingRows, held_out: TrainingRows) -> Values | None:
    """The mean training outcome, or share of each class, in each held-out row's base-rate group; the overall one for
    groups that training has not seen."""
    if trained_on.group is None or held_out.group is None:
        return None
    position, groups = pd.factorize(trained_on.group)
    at = pd.Index(groups).get_indexer(pd.Index(held_out.group))  # -1 where training has not seen the group

    def rate(outcome: Values) -> Values:
        means = np.bincount(position, weights=outcome) / np.bincount(position)
        rates: Values = np.append(means, outcome.mean())[at]
        return rates

    if task != "multiclass":
        return rate(trained_on.outcome)
    classes = int(max(trained_on.outcome.max(), held_out.outcome.max())) + 1
    return np.column_stack([rate((trained_on.outcome == k).astype(np.float64)) for k in range(classes)])
