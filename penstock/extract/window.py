"""Whether the rows of a training set were asked in its window."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from penstock.declare.model import Model
from penstock.errors import PenstockError

SLACK = timedelta(days=1)
"""A query may bind :from and :until to another time than the asking, such as a departure two hours later."""
Check = Callable[[pa.RecordBatch], None]


def window_check(model: Model, since: datetime, until: datetime) -> Check:
    """A function that raises PenstockError for a batch with a row that was asked outside `since` to `until`.

    Such a row would be held out and trained on, or be younger than what the model is judged by.
    """
    asked_at = model.contract.asked_at

    def check(batch: pa.RecordBatch) -> None:
        found = pc.min_max(batch.column(asked_at)).as_py()
        outside = [
            time
            for time in map(_instant, (found["min"], found["max"]))
            if time and not since - SLACK <= time < until + SLACK
        ]
        if outside:
            raise PenstockError(
                f"query of model {model.contract.model!r}",
                expected=f"rows with {asked_at} from {since:%Y-%m-%d} until {until:%Y-%m-%d}, which it is run for",
                found=f"one of {outside[-1]:%Y-%m-%d %H:%M}",
                todo=f"Look at its WHERE: `{asked_at} >= :from AND {asked_at} < :until`.",
            )

    return check


def _instant(time: date | datetime | None) -> datetime | None:
    if time is None or isinstance(time, datetime):
        return time if time is None or time.tzinfo else time.replace(tzinfo=UTC)
    return datetime(time.year, time.month, time.day, tzinfo=UTC)
