"""The windows of a monthly candidate: the held-out month, by which it is named, and the months before it."""

from dataclasses import dataclass
from datetime import UTC, datetime

from penstock.errors import PenstockError


@dataclass(frozen=True)
class Windows:
    """Trained on [training_from, holdout_from), judged on [holdout_from, holdout_until); instants in UTC."""

    training_from: datetime
    holdout_from: datetime
    holdout_until: datetime


def windows(month: str, training_months: int) -> Windows:
    """The windows of `YYYY-MM`; PenstockError for anything else."""
    start = first_day(month)
    return Windows(_moved(start, -training_months), start, _moved(start, 1))


def first_day(month: str) -> datetime:
    """Midnight UTC of the month's first day."""
    try:
        return datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        raise PenstockError("month", expected="YYYY-MM, such as 2026-10", found=repr(month)) from None


def month_after(month: str) -> str:
    """The month that follows `YYYY-MM`."""
    return f"{_moved(first_day(month), 1):%Y-%m}"


def last_complete(now: datetime) -> str:
    """The newest month that is over by `now`."""
    return f"{_moved(now.astimezone(UTC), -1):%Y-%m}"


def _moved(moment: datetime, months: int) -> datetime:
    index = moment.year * 12 + moment.month - 1 + months
    return datetime(index // 12, index % 12 + 1, 1, tzinfo=UTC)
