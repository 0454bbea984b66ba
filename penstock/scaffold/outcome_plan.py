"""What a new model predicts, when it can be trained, and the gate's floor: all from the outcomes that are there."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal, cast

from penstock.declare.periods import Period
from penstock.scaffold.model_plan import Field, Months, OutcomePlan, Source
from penstock.scaffold.profile import Column, ask
from penstock.warehouse.interface import Warehouse

Kind = Literal["classifier", "regressor"]
AskKind = Callable[[str], str]
"""Asks a person a question about the kind; raises ValueError where nobody can be asked."""
MOST_CLASSES = 50
CLEARLY_NUMBERS = 20
"""Whole numbers of more different values are amounts, not classes."""
LONGEST_WINDOW = 6
ABOVE_CHANCE, BELOW_ENTROPY, EXPLAINED = 0.51, 0.99, 0.01
Counts = Mapping[int, Mapping[str, int]]
"""Month, counted from year 0, -> class -> rows."""


def kind_of_outcome(column: Column, wanted: str, ask_kind: AskKind) -> Kind:
    """Classifier or regressor. ValueError where the outcome is neither, or nobody says which."""
    storage, different = column.storage, len(column.values) if column.values is not None else None
    if column.empty:
        raise ValueError(f"outcome {column.name!r} has no value in any of {column.rows:,} rows")
    if storage is None or storage.kind == "time":
        raise ValueError(f"outcome {column.name!r} is {column.type}: expected a number, a boolean or a text")
    if different == 1:
        raise ValueError(f"outcome {column.name!r} is always {column.least!r}: there is nothing to predict")
    amount = storage.python in ("int", "float")
    if wanted == "regressor" and not amount:
        raise ValueError(f"--kind regressor: expected numbers in outcome {column.name!r}, found {column.type}")
    found = wanted
    if not found:
        if not amount or different == 2:
            found = "classifier"
        elif storage.python == "float" or different is None or different > CLEARLY_NUMBERS:
            found = "regressor"
        else:
            found = ask_kind(f"outcome {column.name!r} has {different} different whole numbers: classes, or amounts?")
    if found == "classifier" and (different is None or different > MOST_CLASSES):
        raise ValueError(f"a classifier of outcome {column.name!r}: expected at most {MOST_CLASSES} classes")
    return cast("Kind", found)


def classes_of(column: Column) -> tuple[str, ...]:
    """The classes in the order of their values, as texts."""
    return tuple(_text(value) for value in sorted(column.values or {}))


def months_and_gate(
    warehouse: Warehouse, source: Source, outcome: Field, asked_at: Field, kind: Kind, now: datetime
) -> tuple[Months, OutcomePlan]:
    """When the model can be trained and what its gate demands. ValueError where it can never be."""
    classes = classes_of(outcome.column) if kind == "classifier" else ()
    counts = _counts(warehouse, source, outcome, asked_at, kind)
    complete = _number(str(Period.containing(now, "month").moved(-1)))
    months = [month for month in sorted(counts) if month <= complete]
    if len(months) < 2:
        found = ", ".join(map(_name, sorted(counts))) or "none"
        raise ValueError(
            f"months with outcomes by {asked_at.column.name!r}: expected two that are over by {now:%Y-%m-%d},"
            f" one to train on and one to judge by, found {found}"
        )
    last = months[-1]
    window = max(min(LONGEST_WINDOW, last - months[0]), last - months[-2])
    trained: Counter[str] = Counter()
    for month in months:
        if last - window <= month < last:
            trained.update(counts[month])
    lacking = [name for name in classes if not trained[name]]
    if lacking:
        raise ValueError(
            f"classes {', '.join(map(repr, lacking))} of outcome {outcome.column.name!r}: expected rows in the {window}"
            f" months before {_name(last)}, found none; leave them out with a query (--from QUERY.sql)"
        )
    if len(classes) == 2 and len(counts[last]) < 2:
        raise ValueError(
            f"outcome {outcome.column.name!r} in {_name(last)}, the month to judge by: expected both classes,"
            f" found only {next(iter(counts[last]))!r}"
        )
    rows = min(sum(counts[month].values()) for month in months)
    return Months(_name(months[0] + window), _name(last), window, max(1, rows // 4)), _gate(
        outcome, kind, classes, trained, counts[last]
    )


def _gate(
    outcome: Field, kind: Kind, classes: tuple[str, ...], trained: Mapping[str, int], judged: Mapping[str, int]
) -> OutcomePlan:
    if kind == "regressor":
        return OutcomePlan(outcome, kind, (), "r2", EXPLAINED, 0.0)
    if len(classes) == 2:
        return OutcomePlan(outcome, kind, classes, "roc_auc", ABOVE_CHANCE, 0.5)
    rows, all_trained = sum(judged.values()), sum(trained.values())
    entropy = -sum(count * math.log(trained[name] / all_trained) for name, count in judged.items()) / rows
    return OutcomePlan(outcome, kind, classes, "log_loss", round(BELOW_ENTROPY * entropy, 4), round(entropy, 4))


def _counts(warehouse: Warehouse, source: Source, outcome: Field, asked_at: Field, kind: Kind) -> Counts:
    value = outcome.expression
    grouped = value if kind == "classifier" else "1"
    rows = ask(
        warehouse,
        f"SELECT date_trunc('month', {asked_at.expression}) AS month, {grouped} AS outcome, count(*) AS n"
        f" FROM {source.text} WHERE {value} IS NOT NULL AND {asked_at.expression} IS NOT NULL GROUP BY 1, 2",
    )
    counts: dict[int, dict[str, int]] = defaultdict(dict)
    for row in rows:
        counts[row["month"].year * 12 + row["month"].month - 1][_text(row["outcome"])] = row["n"]
    return counts


def _text(value: Any) -> str:
    """A label as training reads it."""
    if isinstance(value, bool):
        return str(value).lower()
    number = float(value) if not isinstance(value, str | int) else value
    return f"{number:.0f}" if isinstance(number, float) and number.is_integer() else str(number)


def _number(month: str) -> int:
    year, number = map(int, month.split("-"))
    return year * 12 + number - 1


def _name(month: int) -> str:
    return f"{month // 12:04}-{month % 12 + 1:02}"
