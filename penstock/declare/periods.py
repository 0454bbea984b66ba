"""Periods by which candidates are named: days, ISO weeks and months, in UTC; what is held out and trained on."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, Self

from penstock.errors import PenstockError

Cadence = Literal["day", "week", "month"]
NO_DELAY = timedelta(0)
EARLIEST: dict[Cadence, datetime] = {
    "day": datetime(1000, 1, 1, tzinfo=UTC),
    "week": datetime(1900, 1, 1, tzinfo=UTC),
    "month": datetime(1000, 1, 1, tzinfo=UTC),
}
"""No period before it has a name: before 1900 Dagster takes another day of the week for Monday."""
A_CENTURY: dict[Cadence, int] = {"day": 36_525, "week": 5_218, "month": 1_200}
"""Periods of a hundred years: before a longer window the calendar itself ends."""


@dataclass(frozen=True)
class Spelling:
    """How the periods of one cadence are named."""

    example: str
    pattern: re.Pattern[str]
    read: Callable[[str], datetime]
    write: Callable[[datetime], str]


SPELLINGS: dict[Cadence, Spelling] = {
    "day": Spelling(
        "2026-11-24",
        re.compile(r"[12]\d{3}-\d\d-\d\d"),
        datetime.fromisoformat,
        lambda start: f"{start:%Y-%m-%d}",
    ),
    "week": Spelling(
        "2026-W45",
        re.compile(r"(19|2\d)\d\d-W\d\d"),
        lambda text: datetime.fromisoformat(f"{text}-1"),
        lambda start: "{:04d}-W{:02d}".format(*start.isocalendar()),
    ),
    "month": Spelling(
        "2026-10",
        re.compile(r"[12]\d{3}-\d\d"),
        lambda text: datetime.fromisoformat(f"{text}-01"),
        lambda start: f"{start:%Y-%m}",
    ),
}


@dataclass(frozen=True)
class Windows:
    """Trained on [training_from, holdout_from), judged on [holdout_from, holdout_until); instants in UTC."""

    training_from: datetime
    holdout_from: datetime
    holdout_until: datetime


@dataclass(frozen=True)
class Period:
    """One day, ISO week (from Monday) or month, from midnight UTC. `str` of it is its name."""

    every: Cadence
    start: datetime

    @classmethod
    def parse(cls, text: str, every: Cadence | None = None, of: str = "period") -> Self:
        """The period of that name; PenstockError where there is none, or where its cadence is not `every`.

        `of` is what the error names.
        """
        for cadence, spelling in SPELLINGS.items():
            if every in (None, cadence) and spelling.pattern.fullmatch(text):
                try:
                    return cls(cadence, spelling.read(text).replace(tzinfo=UTC))
                except ValueError:
                    break
        wanted = [f"a {name}, such as {SPELLINGS[name].example}" for name in ([every] if every else SPELLINGS)]
        raise PenstockError(of, expected=" or ".join(wanted), found=repr(text))

    @classmethod
    def containing(cls, moment: datetime, every: Cadence) -> Self:
        """The period in which an instant lies."""
        day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if every == "week":
            return cls(every, day - timedelta(days=day.weekday()))
        return cls(every, day.replace(day=1) if every == "month" else day)

    def moved(self, count: int) -> Self:
        """The period that many places later, or earlier."""
        if self.every == "month":
            index = self.start.year * 12 + self.start.month - 1 + count
            return type(self)(self.every, self.start.replace(year=index // 12, month=index % 12 + 1))
        days = {"day": 1, "week": 7}[self.every]
        return type(self)(self.every, self.start + timedelta(days=days * count))

    @property
    def first_day(self) -> str:
        """Its first day, such as `2026-11-02`: the key of its partition in Dagster."""
        return f"{self.start:%Y-%m-%d}"

    @property
    def end(self) -> datetime:
        """The first instant after it."""
        return self.moved(1).start

    def windows(self, trained_on: int) -> Windows:
        """The windows of the candidate of this period, which is trained on that many periods before it."""
        return Windows(self.moved(-trained_on).start, self.start, self.end)

    def __str__(self) -> str:
        return SPELLINGS[self.every].write(self.start)
