"""Whether the rows of a training set were asked in its window."""

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from penstock.declare.model import Model
from penstock.errors import PenstockError

SLACK = timedelta(days=1)
"""A query may bind :from and :until to another time than the asking, such as a departure two hours later."""


def window_check(model: Model, since: datetime, until: datetime) -> Callable[[pa.RecordBatch], None]:
    """A function that raises PenstockError for a batch with a row that was asked outside `since` to `until`."""

    def check(batch: pa.RecordBatch) -> None:
        found = pc.min_max(batch.column(model.contract.asked_at)).as_py()
        demand_inside(model, since, until, found.values())

    return check


def demand_inside(model: Model, since: datetime, until: datetime, asked: Iterable[Any]) -> None:
    """PenstockError where one of these times is outside the window, by more than SLACK.

    A row of it would be held out and trained on, or be younger than what the model is judged by. Values that are no
    times are not looked at: the shape says so.
    """
    times = [_instant(time) for time in asked if isinstance(time, date)]
    outside = [time for time in times if not since - SLACK <= time < until + SLACK]
    if outside:
        name = model.contract.asked_at
        raise PenstockError(
            f"query of model {model.contract.model!r}",
            expected=f"rows with {name} from {since:%Y-%m-%d} until {until:%Y-%m-%d}, the values of :from and :until",
            found=f"one of {outside[-1]:%Y-%m-%d %H:%M}",
            todo=f"Look at its WHERE: `{name} >= :from AND {name} < :until`.",
        )


def _instant(time: date) -> datetime:
    if isinstance(time, datetime):
        return time if time.tzinfo else time.replace(tzinfo=UTC)
    return datetime(time.year, time.month, time.day, tzinfo=UTC)
