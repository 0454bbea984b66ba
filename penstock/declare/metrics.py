"""The metrics by which models are judged: the tasks of each, and whether more of it is better."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Literal

from penstock.contract.contract import Output

Task = Literal["binary", "multiclass", "regression"]
MetricName = Literal["roc_auc", "log_loss", "brier", "accuracy", "roc_auc_ovr", "rmse", "mae", "r2"]


@dataclass(frozen=True)
class Measure:
    """A metric for people: its label, the tasks it is for, whether more of it is better, and between what it lies."""

    label: str
    tasks: tuple[Task, ...]
    higher_is_better: bool
    least: float = 0.0
    greatest: float = 1.0


MEASURES: dict[MetricName, Measure] = {
    "roc_auc": Measure("ROC AUC", ("binary",), True),
    "roc_auc_ovr": Measure("ROC AUC, one against the rest", ("multiclass",), True),
    "log_loss": Measure("log loss", ("binary", "multiclass"), False, greatest=inf),
    "brier": Measure("Brier score", ("binary",), False),
    "accuracy": Measure("accuracy", ("binary", "multiclass"), True),
    "rmse": Measure("RMSE", ("regression",), False, greatest=inf),
    "mae": Measure("MAE", ("regression",), False, greatest=inf),
    "r2": Measure("R²", ("regression",), True, least=-inf),
}


def task_of(output: Output) -> Task:
    """The task of a model with this output."""
    if output.kind == "regressor":
        return "regression"
    return "multiclass" if len(output.classes) > 2 else "binary"


def measures_for(task: Task) -> list[MetricName]:
    """The metrics of a task."""
    return [name for name, measure in MEASURES.items() if task in measure.tasks]


def judged_by(metrics: Mapping[str, Any]) -> MetricName:
    """The gate's first metric, by which the candidate of a ledger entry was judged."""
    found = metrics.get("judged_by", "roc_auc")
    return next((name for name in MEASURES if name == found), "roc_auc")


def judged_value(metrics: Mapping[str, Any]) -> float:
    """The value of that metric; NaN where it could not be known."""
    value = metrics.get(judged_by(metrics))
    return float("nan") if value is None else float(value)
