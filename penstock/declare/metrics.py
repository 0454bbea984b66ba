"""The metrics by which models are judged: the tasks of each, and whether more of it is better."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Literal

from penstock.contract.contract import Output

Task = Literal["binary", "multiclass", "regression", "binary_scores", "multiclass_scores", "values"]
"""`_scores`: of a classifier without probabilities. `values`: of a regressor with several outputs."""
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
    "roc_auc": Measure("ROC AUC", ("binary", "binary_scores"), True),
    "roc_auc_ovr": Measure("ROC AUC, one against the rest", ("multiclass", "multiclass_scores"), True),
    "log_loss": Measure("log loss", ("binary", "multiclass"), False, greatest=inf),
    "brier": Measure("Brier score", ("binary",), False),
    "accuracy": Measure("accuracy", ("binary", "multiclass", "binary_scores", "multiclass_scores"), True),
    "rmse": Measure("RMSE", ("regression", "values"), False, greatest=inf),
    "mae": Measure("MAE", ("regression", "values"), False, greatest=inf),
    "r2": Measure("R²", ("regression", "values"), True, least=-inf),
}
_OF = " of "


def task_of(output: Output) -> Task:
    """The task of a model with this output."""
    if output.kind == "regressor":
        return "values" if output.values else "regression"
    if output.scores:
        return "multiclass_scores" if len(output.classes) > 2 else "binary_scores"
    return "multiclass" if len(output.classes) > 2 else "binary"


def named(metric: MetricName, value: str = "") -> str:
    """The name of a metric in ledger and card: that of one of several values with the value, `mae of arrival_delay`;
    without it that of their mean."""
    return f"{metric}{_OF}{value}" if value else metric


def measure_of(name: str) -> Measure | None:
    """The measure of a metric by its name in ledger and card; None for another text."""
    found = name.partition(_OF)[0]
    return next((measure for metric, measure in MEASURES.items() if metric == found), None)


def label_of(name: str) -> str:
    """A metric for people, by its name in ledger and card."""
    measure = measure_of(name)
    return name if measure is None else measure.label + "".join(name.partition(_OF)[1:])


def measures_for(task: Task) -> list[MetricName]:
    """The metrics of a task."""
    return [name for name, measure in MEASURES.items() if task in measure.tasks]


def judged_by(metrics: Mapping[str, Any]) -> str:
    """The gate's first metric, by which the candidate of a ledger entry was judged."""
    found = str(metrics.get("judged_by", "roc_auc"))
    return "roc_auc" if measure_of(found) is None else found


def judged_value(metrics: Mapping[str, Any]) -> float:
    """The value of that metric; NaN where it could not be known."""
    value = metrics.get(judged_by(metrics))
    return float("nan") if value is None else float(value)


def is_perfect(metrics: Mapping[str, Any]) -> bool:
    """Whether the value by which a candidate was judged is next to the best that there is.

    An error in the outcome's own unit is compared with that of the base rate.
    """
    name = judged_by(metrics)
    scale = metrics.get(f"{name}_base_rate") if name.partition(_OF)[0] in ("rmse", "mae") else None
    return abs(judged_value(metrics) - best_of(name)) < 5e-5 * (1.0 if scale is None else abs(scale))


def best_of(name: str) -> float:
    """The best value of a metric, by its name in ledger and card."""
    measure = measure_of(name)
    return 0.0 if measure is None else measure.greatest if measure.higher_is_better else measure.least
