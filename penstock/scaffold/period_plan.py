"""When a new model can be trained: its cadence, window, first and last period, from the rows that are there."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from penstock.declare.periods import A_CENTURY, EARLIEST, Cadence, Period
from penstock.scaffold.literals import delay_words
from penstock.scaffold.model_plan import Field, OutcomePlan, Periods, Source
from penstock.scaffold.one_row_gate import one_row_gate
from penstock.scaffold.outcome_plan import Kind, classes_of, gate_of, label
from penstock.scaffold.profile import ask
from penstock.warehouse.interface import Warehouse

LONGEST_WINDOW: Mapping[Cadence, int] = {"month": 6, "week": 13, "day": 60}
LONGER: Mapping[Cadence, Cadence] = {"day": "week", "week": "month"}
FEW_ROWS = 200
"""Fewer rows of a usual window make it longer, if there are more."""
Counts = Mapping[Period, Mapping[str, int]]
"""Period -> class -> rows."""


def periods_and_gate(
    warehouse: Warehouse,
    source: Source,
    outcomes: Sequence[Field],
    asked_at: Field,
    kind: Kind,
    every: str,
    outcome_after: timedelta,
    now: datetime,
) -> tuple[Periods, OutcomePlan]:
    """When the model can be trained and what its gate demands. ValueError where it can never be.

    Without `every` it is the longest cadence of which two periods are over.
    """
    outcome = outcomes[0]
    wanted: list[Cadence] = [name for name in ("month", "week", "day") if every in ("", name)]
    counts: Counts = {}
    found: Sequence[Period] = ()
    for cadence in wanted:
        counts = _counts(warehouse, source, outcome, asked_at, kind, cadence)
        running = Period.containing(now - outcome_after, cadence)
        found = _whole(counts, running)
        if len(found) > 1:
            periods, gate = _planned(found, counts, outcome, kind, outcome_after)
            if kind == "regressor" and sum(counts[found[-1]].values()) < 2:
                gate = one_row_gate(warehouse, source, outcomes, asked_at, periods, found[-1])
            newest = Period.containing(_instant(asked_at.column.greatest), cadence)
            late = newest.start < running.start and newest not in counts
            return replace(periods, without_outcomes=str(newest) if late else ""), gate
    cadence = wanted[-1]
    there = sorted(map(str, counts))
    listed = ", ".join(there if len(there) < 5 else [*there[:2], "…", *there[-2:]]) or "none"
    ripe = f" and ripe ({delay_words(outcome_after)})" if outcome_after else ""
    raise ValueError(
        f"{cadence}s with outcomes by {asked_at.column.name!r}: expected two that are over{ripe} by {now:%Y-%m-%d},"
        f" one to train on and one to judge by, found {listed}{_shorter(cadence, every)}"
    )


def _shorter(cadence: Cadence, every: str) -> str:
    return f"; --every {'week' if cadence == 'month' else 'day'} asks for less" if every in ("month", "week") else ""


def _whole(counts: Counts, running: Period) -> list[Period]:
    """The periods that are over, in order. The last one is left out where the data end early within it."""
    found = sorted((period for period in counts if period.start < running.start), key=lambda period: period.start)
    ends = len(found) > 2 and found[-1] == max(counts, key=lambda period: period.start)
    rows = [sum(counts[period].values()) for period in found[-2:]]
    return found[:-1] if ends and 2 * rows[1] < rows[0] else found


def _planned(
    found: Sequence[Period], counts: Counts, outcome: Field, kind: Kind, outcome_after: timedelta
) -> tuple[Periods, OutcomePlan]:
    first, last, every = found[0], found[-1], found[-1].every
    earliest = EARLIEST[every]
    if last.start < earliest:
        todo = "where the times are right, a query (--from QUERY.sql) moves them by centuries"
        raise ValueError(
            f"{every}s with outcomes: expected one of {earliest:%Y} or later to judge by, found {first} to {last};"
            f" {'say --every month, or ' if every == 'week' else ''}{todo}"
        )
    classes = classes_of(outcome.column) if kind == "classifier" else ()
    newest = {name: period for period in found[:-1] for name in counts[period]}
    lacking = [name for name in classes if name not in newest]
    if lacking:
        raise ValueError(
            f"classes {', '.join(map(repr, lacking))} of outcome {outcome.column.name!r}: expected rows in the"
            f" {every}s before {last}, found none; leave them out with a query (--from QUERY.sql)"
        )
    needed = [_enough(found[:-1], counts), *(newest[name] for name in classes)]
    window = max(min(LONGEST_WINDOW[every], _apart(first, last)), *(_apart(period, last) for period in needed))
    window = min(window, A_CENTURY[every])
    trained: Counter[str] = Counter()
    for period in found[:-1]:
        if _apart(period, last) <= window:
            trained.update(counts[period])
    if len(classes) == 2 and len(counts[last]) < 2:
        raise ValueError(_of_one_class(found, counts, outcome))
    begin = max(first.moved(window), Period.containing(earliest, every), key=lambda period: period.start)
    rows = min(sum(counts[period].values()) for period in found if period.start >= begin.start)
    periods = Periods(every, outcome_after, str(begin), str(last), window, max(1, rows // 4))
    return periods, gate_of(outcome, kind, classes, trained, counts[last])


def _enough(found: Sequence[Period], counts: Counts) -> Period:
    """The newest period from which on there are enough rows to train on; the first one, if there never are."""
    rows = 0
    for period in reversed(found):
        rows += sum(counts[period].values())
        if rows >= FEW_ROWS:
            return period
    return found[0]


def _of_one_class(found: Sequence[Period], counts: Counts, outcome: Field) -> str:
    """What to do where the last period has one of two classes alone."""
    last = found[-1]
    said = f"outcome {outcome.column.name!r} in {last}, the {last.every} to judge by: expected both classes, found only"
    judging = [
        later
        for before, later in itertools.pairwise(found)
        if len(counts[later]) == 2 and 2 * sum(counts[later].values()) >= sum(counts[before].values())
    ]
    todo = f"no {last.every} has both"
    if judging:
        todo = f"leave out the rows from {judging[-1].moved(1).start:%Y-%m-%d} on with a query (--from QUERY.sql)"
    longer = f", or judge by more of them (--every {LONGER[last.every]})" if last.every in LONGER else ""
    return f"{said} {next(iter(counts[last]))!r}; {todo}{longer}"


def _instant(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _apart(earlier: Period, later: Period) -> int:
    if later.every == "month":
        return (later.start.year - earlier.start.year) * 12 + later.start.month - earlier.start.month
    return (later.start - earlier.start).days // (7 if later.every == "week" else 1)


def _counts(
    warehouse: Warehouse, source: Source, outcome: Field, asked_at: Field, kind: Kind, every: Cadence
) -> Counts:
    value = outcome.expression
    grouped = value if kind == "classifier" else "1"
    rows = ask(
        warehouse,
        f"SELECT date_trunc('{every}', {asked_at.expression}) AS period, {grouped} AS outcome, count(*) AS n"
        f" FROM {source.text} WHERE {value} IS NOT NULL AND {asked_at.expression} IS NOT NULL GROUP BY 1, 2",
    )
    counts: dict[Period, dict[str, int]] = defaultdict(dict)
    for row in rows:
        counts[Period.containing(_instant(row["period"]), every)][label(row["outcome"])] = row["n"]
    return counts
