"""From the outcomes of a warehouse to the numbers that estimators and metrics take; what nothing can be trained on."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from penstock.declare.model import Model
from penstock.errors import PenstockError
from penstock.quantity import counted

Array = np.ndarray[Any, Any]
RANKED = frozenset({"roc_auc", "roc_auc_ovr"})
"""Metrics that need rows of more than one class."""


class OutcomeError(PenstockError):
    """Outcomes that the declared output does not have, or on which nothing can be trained or judged."""


class RowsWithOutcomes(Protocol):
    """Rows of a training set, such as TrainingRows, as far as their outcomes: (n,), or (n, k) of k values."""

    @property
    def outcome(self) -> Array:
        """The outcomes as `encode_all` returns them."""

    @property
    def left_out(self) -> int:
        """How many rows had none, and were left out."""


def encode_all(model: Model, table: pa.Table) -> Array:
    """The outcomes of n rows: (n,), or (n, k) of k values."""
    made = [encode(model, table.column(name), name) for name in model.outcomes]
    return np.column_stack(made) if model.task == "values" else made[0]


def encode(model: Model, values: pa.ChunkedArray, name: str = "") -> Array:
    """n outcomes as float64: the value of a regressor, the index of a classifier's class; NaN where null.

    A label belongs to the class of the same text: `1` to "1", `true` to "true". Booleans and whole numbers for which
    there is no such class are indices, if all of them are below the number of classes. OutcomeError names every label
    that is neither.
    """
    kind = values.type
    if model.contract.output.kind == "regressor":
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
            raise _refused(model, "a number", f"{kind}", "Cast it in the query, or declare a classifier.", name)
        return numbers(values)
    encoded = values.combine_chunks().dictionary_encode()
    labels = encoded.dictionary.to_pylist()
    known = _places(model, labels)
    places = np.array([*known, np.nan])
    return np.asarray(places[encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)])


def numbers(values: pa.ChunkedArray) -> Array:
    """Numbers as float64, NaN where null, each as near as a float64 can be; pa.ArrowInvalid for one beyond 2^53.

    Decimals go through text: Arrow's own cast is one unit in the last place away from what Postgres serves.
    """
    if pa.types.is_decimal(values.type):
        values = values.cast(pa.string())
    return np.asarray(values.cast(pa.float64()).to_numpy(), dtype=np.float64)


def demand_outcomes(model: Model, training: RowsWithOutcomes, holdout: RowsWithOutcomes) -> None:
    """OutcomeError, before anything is fitted, unless both sets can be trained on and judged: every reason at once."""
    reasons = []
    for name, rows in (("training rows", training), ("held-out rows", holdout)):
        finite = np.isfinite(rows.outcome)
        wrong = int(np.count_nonzero(~(finite if finite.ndim == 1 else finite.all(axis=1))))
        if not len(rows.outcome):
            left = f" ({rows.left_out:,} without an outcome were left out)" if rows.left_out else ""
            reasons.append(f"no {name}{left}")
        elif wrong:
            reasons.append(f"{wrong:,} of {len(rows.outcome):,} {name} without a finite outcome")
    if model.contract.output.kind == "classifier" and not reasons:
        reasons += _class_reasons(model, training.outcome, holdout.outcome)
    if reasons:
        todo = "Take another period (`--period`) or a longer window (`window`), or correct the query."
        if model.null_outcome == "refuse":
            todo += " Where outcomes are missing by nature, declare `null_outcome='leave_out'`."
        raise OutcomeError(
            f"outcome {model.outcome!r} of model {model.contract.model!r}",
            expected="rows of every class in the training window, and outcomes to judge by",
            found="; ".join(reasons),
            todo=todo,
        )


def _class_reasons(model: Model, training: Array, holdout: Array) -> list[str]:
    classes = class_names(model)
    absent = sorted(set(range(len(classes))) - {int(place) for place in np.unique(training)})
    reasons = [f"no training row of class {classes[place]!r}" for place in absent]
    if model.gate.metric in RANKED and len(np.unique(holdout)) < 2:
        reasons.append(
            f"all held-out rows of class {classes[int(holdout[0])]!r}, which {model.gate.metric} cannot judge"
        )
    if len(holdout) < model.gate.minimum_rows:
        reasons.append(f"{counted(len(holdout), 'held-out row')}, fewer than minimum_rows {model.gate.minimum_rows:,}")
    return reasons


def class_names(model: Model) -> Sequence[str]:
    """The classes by their index; those of a classifier that declares none are 0 and 1."""
    return model.contract.output.classes or ("0", "1")


def _places(model: Model, labels: Sequence[Any]) -> list[float]:
    classes = class_names(model)
    texts = [_text(label) for label in labels]
    if all(text in classes for text in texts):
        return [float(classes.index(text)) for text in texts]
    indices = range(len(classes))
    if all(isinstance(label, bool | int | float) and label in indices for label in labels):
        return [float(label) for label in labels]
    unknown = [text for text, label in zip(texts, labels, strict=True) if text not in classes]
    raise _refused(
        model,
        f"one of {', '.join(classes)}",
        ", ".join(map(repr, unknown[:10])) + (f" and {len(unknown) - 10} more" if len(unknown) > 10 else ""),
        "Declare it in the contract's output, or leave such rows out of the training set.",
    )


def _text(label: Any) -> str:
    if isinstance(label, bool):
        return str(label).lower()
    return f"{label:.0f}" if isinstance(label, float) and label.is_integer() else str(label)


def _refused(model: Model, expected: str, found: str, todo: str, name: str = "") -> OutcomeError:
    thing = f"outcome {(name or model.outcome)!r} of model {model.contract.model!r}"
    return OutcomeError(thing, expected=expected, found=found, todo=todo)
