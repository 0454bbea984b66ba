"""What a new model predicts, and the gate's floor: both from the outcomes that are there."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, cast

from penstock.quantity import counted
from penstock.scaffold import casts
from penstock.scaffold.model_plan import Field, OutcomePlan
from penstock.scaffold.profile import Column
from penstock.warehouse.interface import quoted

Kind = Literal["classifier", "regressor"]
AskKind = Callable[[str], str]
"""Asks a person a question about the kind; raises ValueError where nobody can be asked."""
MOST_CLASSES = 50
MOST_AMOUNT = 1e150
"""A float64 holds the square of it, and sums of these."""
CLEARLY_NUMBERS = 20
"""Whole numbers of more different values are amounts, not classes."""
ABOVE_CHANCE, BELOW_ENTROPY, EXPLAINED = 0.51, 0.99, 0.01


def kind_of_outcomes(columns: Sequence[Column], wanted: str, ask_kind: AskKind) -> Kind:
    """That of one outcome; several are values of a regressor. ValueError as of one."""
    if len(columns) == 1:
        return kind_of_outcome(columns[0], wanted, ask_kind)
    if wanted == "classifier":
        raise ValueError(f"--kind classifier: expected one outcome, found {', '.join(one.name for one in columns)}")
    for column in columns:
        kind_of_outcome(column, "regressor", ask_kind)
    return "regressor"


def kind_of_outcome(column: Column, wanted: str, ask_kind: AskKind) -> Kind:
    """Classifier or regressor. ValueError where the outcome is neither, or nobody says which."""
    storage, different = column.storage, len(column.values) if column.values is not None else None
    if column.empty:
        raise ValueError(f"outcome {column.name!r} has no value in any of {counted(column.rows, 'row')}")
    if storage is None or storage.kind == "time":
        raise ValueError(f"outcome {column.name!r} is {column.type}: expected a number, a boolean or a text")
    if different == 1:
        others = ""
        if column.missing:
            others = f" in the rows that have one; if those without ({column.lacking:,}) mean another, a query says it"
            others += f" (COALESCE({quoted(column.name)}, …))"
        raise ValueError(f"outcome {column.name!r} is always {column.least!r}{others}: there is nothing to predict")
    amount = storage.python in ("int", "float")
    if wanted == "regressor" and not amount:
        todo = f", of which most are numbers: {casts.todo(column)}" if column.mostly("numbers") else ""
        raise ValueError(f"--kind regressor: expected numbers in outcome {column.name!r}, found {column.type}{todo}")
    found = wanted
    if not found:
        if not amount or different == 2:
            found = "classifier"
        elif storage.python == "float" or different is None or different > CLEARLY_NUMBERS:
            found = "regressor"
        else:
            found = ask_kind(f"outcome {column.name!r} has {different} different whole numbers: classes, or amounts?")
    largest = max(abs(float(column.least)), abs(float(column.greatest))) if amount and found == "regressor" else 0.0
    if largest > MOST_AMOUNT:
        raise ValueError(
            f"outcome {column.name!r} reaches {largest:g}: expected amounts of at most {MOST_AMOUNT:g}, whose squares"
            " are numbers; divide it in a query (--from QUERY.sql)"
        )
    if found == "classifier" and (different is None or different > MOST_CLASSES):
        texts = column.mostly("numbers") and not amount
        todo = f"{different or 'more than 1,000'}; a query (--from QUERY.sql) can put the rare ones together"
        if texts:
            todo = f"texts, of which most are numbers: {casts.todo(column)}"
        raise ValueError(
            f"a classifier of outcome {column.name!r}: expected at most {MOST_CLASSES} classes, found {todo}"
        )
    return cast("Kind", found)


def classes_of(column: Column) -> tuple[str, ...]:
    """The classes in the order of their values, as texts."""
    return tuple(label(value) for value in sorted(column.values or {}))


def gate_of(
    outcome: Field, kind: Kind, classes: tuple[str, ...], trained: Mapping[str, int], judged: Mapping[str, int]
) -> OutcomePlan:
    """The gate that is a little above what nothing but the outcomes reaches.

    `trained`, `judged`: class -> rows of the last window, and of the period after it.
    """
    if kind == "regressor":
        return OutcomePlan(outcome, kind, (), "r2", EXPLAINED, 0.0)
    if len(classes) == 2:
        return OutcomePlan(outcome, kind, classes, "roc_auc", ABOVE_CHANCE, 0.5)
    rows, all_trained = sum(judged.values()), sum(trained.values())
    entropy = -sum(count * math.log(trained[name] / all_trained) for name, count in judged.items()) / rows
    return OutcomePlan(outcome, kind, classes, "log_loss", round(BELOW_ENTROPY * entropy, 4), round(entropy, 4))


def label(value: Any) -> str:
    """A label as training reads it."""
    if isinstance(value, bool):
        return str(value).lower()
    number = float(value) if not isinstance(value, str | int) else value
    return f"{number:.0f}" if isinstance(number, float) and number.is_integer() else str(number)
