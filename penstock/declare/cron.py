"""Cron expressions of schedules, in UTC: what cannot be honoured whole is refused where it is declared."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from penstock.declare.periods import Cadence
from penstock.errors import PenstockError

ALIASES = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
HOW_TO_WRITE_IT = (
    "Write minute, hour, day of month, month and day of week, such as `30 6 2 * *`, or one of " + ", ".join(ALIASES)
)
PART = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d+))?")
MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True)
class Field:
    """One of the five fields, its least and greatest number, and the names that stand for numbers."""

    name: str
    least: int
    greatest: int
    names: Mapping[str, int] = field(default_factory=dict)


MONTHS = {
    name: n
    for n, name in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)
}
WEEKDAYS = {name: n for n, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
FIELDS = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of month", 1, 31),
    Field("month", 1, 12, MONTHS),
    Field("day of week", 0, 7, WEEKDAYS),
)


def demand_cron(cron: str, of: str) -> None:
    """PenstockError, naming the field, unless Dagster runs a schedule of this expression exactly as it says."""
    if cron in ALIASES:
        return
    texts = cron.split()
    if len(texts) != len(FIELDS):
        raise _refused(of, "five fields", f"{len(texts)} in {cron!r}")
    _, _, days, months, _ = (_numbers(text, kind, of) for text, kind in zip(texts, FIELDS, strict=True))
    if min(days) > max(MONTH_DAYS[month - 1] for month in months):
        raise _refused(of, "a day that its months have", f"day {min(days)} in {cron!r}, which never comes")


def default_cron(every: Cadence, outcome_after: timedelta) -> str:
    """At 6:00 UTC of the first day of a period, or of the second of a month, after the outcomes came in."""
    days = -(-outcome_after // timedelta(days=1))
    if every == "day":
        return "0 6 * * *"
    if every == "week":
        return f"0 6 * * {(1 + days) % 7}"
    return f"0 6 {(1 + days) % 28 + 1} * *"


def _numbers(text: str, kind: Field, of: str) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        matched = PART.fullmatch(part)
        if matched is None:
            raise _refused(of, f"{kind.name} of {kind.least} to {kind.greatest}", repr(text))
        star, first, last, step = matched.groups()
        least = kind.least if star else _number(first, kind, of)
        to_the_end = star or (step and not last)
        greatest = kind.greatest if to_the_end else _number(last or first, kind, of)
        if least > greatest or (step and not 1 <= int(step) <= kind.greatest):
            raise _refused(of, f"{kind.name} from a smaller to a greater number, in steps within it", repr(text))
        found |= set(range(least, greatest + 1, int(step or 1)))
    return found


def _number(text: str, kind: Field, of: str) -> int:
    number = kind.names.get(text.lower(), int(text) if text.isdecimal() else None)
    if number is None or not kind.least <= number <= kind.greatest:
        raise _refused(of, f"{kind.name} of {kind.least} to {kind.greatest}", repr(text))
    return number


def _refused(of: str, expected: str, found: str) -> PenstockError:
    return PenstockError(of, expected=expected, found=found, todo=f"{HOW_TO_WRITE_IT}.")
