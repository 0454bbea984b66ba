"""How a candidate did on the held-out rows, and which features it depends on."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from typing import Any

import numpy as np
import pandas as pd

from penstock.artifact.native import Artifact
from penstock.declare.metrics import Task, measures_for, named
from penstock.declare.model import Model
from penstock.training.frame import TrainingRows
from penstock.training.metrics import Values, WeightedMetric, intervals, metric_of, of_bound, score_of

SAMPLE = 2_000
"""Rows on which importances are computed, at most."""
SHUFFLES = 3


@dataclass(frozen=True)
class Estimate:
    """A metric on n rows, with its 95% bootstrap interval; NaN where it cannot be known."""

    value: float
    low: float
    high: float
    rows: int


@dataclass(frozen=True)
class Evaluation:
    """What is known of the candidate on the held-out rows.

    - `outcome`, and the scores of the candidate and of the base rate, in the shapes that `metrics` describes.
    - `metrics`: every metric of the task by its name in ledger and card. `slices`: slice -> the gate's first metric.
    - `values`: the names of several values.
    """

    task: Task
    outcome: Values
    score: Values
    base_rate: Values | None
    metrics: dict[str, Estimate]
    slices: dict[str, Estimate]
    values: tuple[str, ...] = ()


def evaluate(model: Model, trained_on: TrainingRows, held_out: TrainingRows, predictions: Values) -> Evaluation:
    """The evaluation of predictions for the held-out rows: (n, classes) probabilities, or (n,) values."""
    score, values = score_of(predictions, model.task), tuple(value.name for value in model.contract.output.values)
    measured: dict[str, WeightedMetric] = {
        named(name, values[place] if place is not None else ""): metric_of(model.task, name, place).weighted(
            held_out.outcome, score
        )
        for name in measures_for(model.task)
        for place in (None, *range(len(values)))
    }
    return Evaluation(
        model.task,
        held_out.outcome,
        score,
        _base_rate(model.task, trained_on, held_out),
        _found(len(held_out.outcome), measured),
        _slices(model, held_out, score),
        values,
    )


def metrics_of(model: Model, evaluation: Evaluation) -> dict[str, Any]:
    """The metrics for the ledger: every one by name, the interval of the gate's first one, rows, and base rate."""
    judge = model.gate.bounds[0].name
    metrics: dict[str, Any] = {name: found.value for name, found in evaluation.metrics.items()}
    metrics |= {f"{judge}_low": evaluation.metrics[judge].low, f"{judge}_high": evaluation.metrics[judge].high}
    metrics |= {"judged_by": judge, "rows": len(evaluation.outcome)}
    if evaluation.task in ("binary", "binary_scores"):
        metrics["outcome_rate"] = float(evaluation.outcome.mean())
    elif evaluation.task == "regression":
        metrics["outcome_mean"] = float(evaluation.outcome.mean())
    means = evaluation.outcome.mean(axis=0) if evaluation.values else []
    metrics |= {f"outcome_mean of {name}": float(mean) for name, mean in zip(evaluation.values, means, strict=True)}
    if evaluation.base_rate is not None:
        base = of_bound(model, model.gate.bounds[0])(evaluation.outcome, evaluation.base_rate)
        metrics[f"{judge}_base_rate"] = base
    return metrics


def permutation_importances(
    artifact: Artifact,
    vectors: Mapping[str, np.ndarray[Any, Any]],
    outcome: Values,
    metric: Callable[[Values, Values], float],
    *,
    higher_is_better: bool,
    task: Task = "binary",
) -> dict[str, tuple[float, float]]:
    """Feature name -> mean and standard deviation of what the metric loses when the feature's values are shuffled.

    See Breiman, Random Forests, 2001. The rows are drawn by a fixed seed, so equal rows have equal importances.
    """
    random = np.random.default_rng(0)
    count = min(SAMPLE, len(outcome))
    rows = np.sort(random.choice(len(outcome), count, replace=False))
    sample = {feature.name: vectors[feature.name][rows] for feature in artifact.features}
    sign = 1.0 if higher_is_better else -1.0
    unshuffled = score_of(artifact.predict(sample), task)
    whole = metric(outcome[rows], unshuffled)
    orders = {name: np.concatenate([random.permutation(count) for _ in range(SHUFFLES)]) for name in sample}

    def losses(name: str) -> tuple[float, float]:
        """Mean and deviation of one feature. Only rows whose value the shuffling changes are predicted again."""
        shuffled, values = sample[name][orders[name]], np.concatenate([sample[name]] * SHUFFLES)
        changed = np.flatnonzero((shuffled != values) & ~(pd.isna(shuffled) & pd.isna(values)))
        scores = np.concatenate([unshuffled] * SHUFFLES)
        asked = {other: kept[changed % count] for other, kept in sample.items()} | {name: shuffled[changed]}
        scores[changed] = score_of(artifact.predict(asked), task)
        found = [sign * (whole - metric(outcome[rows], one)) for one in np.split(scores, SHUFFLES)]
        return float(np.nan_to_num(np.mean(found))), float(np.nan_to_num(np.std(found)))

    # The kernel releases the interpreter lock, so threads use all cores. A feature's shuffles are predicted in one
    # call, because each return from the kernel waits for the lock.
    with ThreadPoolExecutor(cpu_count()) as pool:
        return dict(zip(sample, pool.map(losses, sample), strict=True))


def _slices(model: Model, held_out: TrainingRows, score: Values) -> dict[str, Estimate]:
    if held_out.slices is None:
        return {}
    metric = of_bound(model, model.gate.bounds[0])
    found: dict[str, Estimate] = {}
    for name in sorted(set(held_out.slices)):
        rows = held_out.slices == name
        measured = {str(name): metric.weighted(held_out.outcome[rows], score[rows])}
        found |= _found(int(rows.sum()), measured, rounds=100)
    return found


def _found(rows: int, measured: dict[Any, WeightedMetric], rounds: int = 200) -> dict[Any, Estimate]:
    spread = intervals(rows, measured, rounds=rounds)
    return {name: Estimate(weighted(np.ones(rows)), *spread[name], rows) for name, weighted in measured.items()}


def _base_rate(task: Task, trained_on: TrainingRows, held_out: TrainingRows) -> Values | None:
    """For each held-out row the mean training outcome, or share of each class, of its base-rate group.

    For groups that training has not seen it is the overall mean.
    """
    if trained_on.group is None or held_out.group is None:
        return None
    position, groups = pd.factorize(trained_on.group)
    at = pd.Index(groups).get_indexer(pd.Index(held_out.group))  # -1 where training has not seen the group

    def rate(outcome: Values) -> Values:
        means = np.bincount(position, weights=outcome) / np.bincount(position)
        rates: Values = np.append(means, outcome.mean())[at]
        return rates

    if task == "values":
        return np.column_stack([rate(column) for column in trained_on.outcome.T])
    if task in ("binary", "regression", "binary_scores"):
        rates = rate(trained_on.outcome)
        return np.column_stack([rates > 0.5, rates]) if task == "binary_scores" else rates
    classes = int(max(trained_on.outcome.max(), held_out.outcome.max())) + 1
    shares = np.column_stack([rate((trained_on.outcome == k).astype(np.float64)) for k in range(classes)])
    return shares if task == "multiclass" else np.column_stack([shares.argmax(axis=1), shares])
