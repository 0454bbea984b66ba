"""The gate of amounts of which one row is held out, where R² is none: its error, beside that of a mean."""

from collections.abc import Sequence
from datetime import UTC, datetime

from penstock.declare.periods import Period
from penstock.scaffold.model_plan import Field, OutcomePlan, Periods, Source
from penstock.scaffold.profile import ask
from penstock.warehouse.interface import Warehouse

BETTER, MARGIN = 0.99, 0.01


def one_row_gate(
    warehouse: Warehouse, source: Source, outcomes: Sequence[Field], asked_at: Field, periods: Periods, last: Period
) -> OutcomePlan:
    """A little below the error of the mean of the window, in the outcome's unit; of several outcomes, their mean."""
    errors = [_error(warehouse, source, outcome, asked_at, periods, last) for outcome in outcomes]
    error = sum(errors) / len(errors)
    floor, base, margin = (float(f"{part * error:.4g}") for part in (BETTER, 1, MARGIN))
    return OutcomePlan(outcomes[0], "regressor", (), "mae", floor, base, margin)


def _error(
    warehouse: Warehouse, source: Source, outcome: Field, asked_at: Field, periods: Periods, last: Period
) -> float:
    """How far the mean of the window is from the outcome of the period after it."""
    value, asked = outcome.expression, asked_at.expression
    rows = ask(
        warehouse,
        f"SELECT date_trunc('{periods.every}', {asked}) AS period, count(*) AS n, avg({value}) AS mean"
        f" FROM {source.text} WHERE {value} IS NOT NULL AND {asked} IS NOT NULL GROUP BY 1",
    )
    means: dict[Period, tuple[int, float]] = {}
    for row in rows:
        day = row["period"]
        period = Period.containing(datetime(day.year, day.month, day.day, tzinfo=UTC), periods.every)
        means[period] = (row["n"], float(row["mean"]))
    if last not in means:
        return 0.0
    start = last.moved(-periods.window).start
    trained = [found for period, found in means.items() if start <= period.start < last.start]
    middle = sum(count * mean for count, mean in trained) / sum(count for count, _ in trained)
    return abs(means[last][1] - middle)
