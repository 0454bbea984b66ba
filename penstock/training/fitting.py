"""Fitting an estimator, as it fits itself or by the model's own function; what was chosen, and how it went."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from penstock.declare.fitting import FitResult, FitRows
from penstock.declare.model import Model
from penstock.declare.periods import Period
from penstock.errors import PenstockError
from penstock.training.frame import TrainingRows, frame_for
from penstock.training.plots import INK, SECOND, png

_CHOSEN = ("best_params_", "best_score_", "best_iteration_", "best_iteration", "n_iter_", "best_threshold_")
MOST_COLUMNS = 30
"""Columns of a frame that an error names."""
_SHOWN_CURVES = 6


def fit(model: Model, estimator: Any, frame: pd.DataFrame, rows: TrainingRows) -> FitResult:
    """The fitted estimator; PenstockError with the words of scikit-learn or of the model's function where it fails."""
    if model.fit is None:
        return FitResult(_fit_itself(model, estimator, frame, rows))
    thing = f"fit of model {model.contract.model!r}"
    expected = "a function of an estimator and FitRows that returns the fitted estimator, or a FitResult"
    try:
        made = model.fit(estimator, in_order(model, frame, rows))
    except PenstockError:
        raise
    except Exception as error:
        found = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        raise PenstockError(thing, expected=expected, found=found) from error
    if not isinstance(made, FitResult):
        made = FitResult(made)
    if not hasattr(made.estimator, "predict"):
        raise PenstockError(thing, expected=expected, found=type(made.estimator).__name__)
    found_curves = {name: list(map(float, values)) for name, values in _curves(made.estimator)}
    return FitResult(made.estimator, _chosen(made.estimator) | dict(made.parameters), found_curves | dict(made.curves))


def in_order(model: Model, frame: pd.DataFrame, rows: TrainingRows) -> FitRows:
    """The training rows in the order of time; those of one instant in the order of their keys."""
    assert rows.asked_at is not None
    order = np.argsort(rows.asked_at, kind="stable")
    asked_at = rows.asked_at[order]
    days, places = np.unique(asked_at.astype("datetime64[D]"), return_inverse=True)
    names = [str(Period.containing(pd.Timestamp(day).to_pydatetime().replace(tzinfo=UTC), model.every)) for day in days]
    weights = None if rows.weights is None else rows.weights[order]
    return FitRows(frame.iloc[order], rows.outcome[order], asked_at, np.array(names, dtype=object)[places], weights)


def curves_plot(curves: Mapping[str, Sequence[float]]) -> bytes:
    """The curves of a fit, each by iteration, side by side where their names differ; nothing for none."""
    if not curves:
        return b""
    shown = list(curves.items())[:_SHOWN_CURVES]
    figure = Figure(figsize=(13, 3.2))
    figure.subplots_adjust(left=0.05, right=0.985, bottom=0.17, top=0.88, wspace=0.25)
    for place, (name, values) in enumerate(shown, 1):
        axes = figure.add_subplot(1, max(len(shown), 2), place)
        axes.plot(np.arange(1, len(values) + 1), values, color=INK, linewidth=1.2)
        axes.plot([len(values)], [values[-1]], marker="o", color=SECOND, markersize=4)
        axes.set(xlabel="iteration", title=name)
    return png(figure)


def _fit_itself(model: Model, estimator: Any, frame: pd.DataFrame, rows: TrainingRows) -> Any:
    weights: dict[str, Any] = {}
    frame = frame_for(estimator, frame)
    if rows.weights is not None:
        last = f"{estimator.steps[-1][0]}__" if hasattr(estimator, "steps") else ""
        weights = {f"{last}sample_weight": rows.weights}
    try:
        return estimator.fit(frame, rows.outcome, **weights)
    except Exception as error:  # LightGBM and CatBoost have errors of their own
        raise PenstockError(
            f"estimator {type(estimator).__name__} of model {model.contract.model!r}",
            expected="one that can be fitted to the features as they are",
            found=str(error).strip().partition("\n")[0] or type(error).__name__,
            todo="Put a step before it that encodes or imputes the columns, or choose one that takes them."
            f" They are {', '.join(map(str, frame.columns[:MOST_COLUMNS]))}{', …' * (frame.shape[1] > MOST_COLUMNS)}.",
        ) from error


def _parts(estimator: Any) -> Iterator[Any]:
    """The estimator, what a search has chosen, and the last step of a pipeline."""
    yield estimator
    if hasattr(estimator, "best_estimator_"):
        yield from _parts(estimator.best_estimator_)
    elif hasattr(estimator, "steps"):
        yield from _parts(estimator.steps[-1][1])


def _chosen(estimator: Any) -> dict[str, Any]:
    """What scikit-learn's searches and boosting of any library have found, by its attribute."""
    found: dict[str, Any] = {}
    for part in _parts(estimator):
        for name in _CHOSEN:
            value = _attribute(part, name)
            if value is None or isinstance(value, np.ndarray):
                continue
            found |= _named(value) if isinstance(value, dict) else {name.rstrip("_"): value}
    return found


def _named(values: Mapping[Any, Any]) -> dict[str, Any]:
    """The chosen parameters of a search, or the best scores that a library keeps for each set of rows and metric."""
    made: dict[str, Any] = {}
    for key, value in values.items():
        scores = value.items() if isinstance(value, dict) else ()
        made |= {f"best {metric} of {key}": float(score) for metric, score in scores} if scores else {str(key): value}
    return made


def _curves(estimator: Any) -> Iterator[tuple[str, Sequence[float]]]:
    """The curves that boosting of scikit-learn, LightGBM and XGBoost has kept."""
    for part in _parts(estimator):
        kept = _attribute(part, "evals_result_") or _attribute(part, "evals_result")
        for rows, metrics in (kept() if callable(kept) else kept or {}).items():
            yield from ((f"{metric} of {rows}", values) for metric, values in metrics.items())
        for name in ("validation_score_", "train_score_"):
            values = _attribute(part, name)
            if values is not None and len(values):
                yield name.rstrip("_"), values


def _attribute(part: Any, name: str) -> Any:
    """An attribute; None where it is not there, also where a library says so by an error of its own."""
    try:
        return getattr(part, name, None)
    except Exception:
        return None
