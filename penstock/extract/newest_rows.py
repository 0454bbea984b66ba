"""The period to train where nobody names one: the newest whose outcomes are known and that has rows."""

from datetime import UTC, date, datetime
from typing import Any

from penstock.declare.model import Model
from penstock.declare.periods import EARLIEST, Period
from penstock.errors import PenstockError
from penstock.extract.extract import query_of
from penstock.warehouse.interface import Warehouse, WarehouseError, quoted
from penstock.warehouse.query_text import subquery


def newest_period(model: Model, warehouse: Warehouse, now: datetime) -> Period:
    """The newest period whose outcomes are known, and for which the warehouse has rows; PenstockError if none has.

    Rows without an outcome are none, where the model leaves them out.
    Where the rows end before or within that period, it is the last one with at least half the rows of the one before
    that has any: where the data end early in a period, the one before is the last whole one.
    """
    newest = model.newest_trainable(now)
    try:
        _, last = _rows(warehouse, model, newest.start, max(now, newest.end), any_outcome=True)
    except WarehouseError:  # the query reads what a preparation has yet to make, or its fault is said when it runs
        return newest
    if last is not None and last >= newest.end and _rows(warehouse, model, newest.start, newest.end)[0]:
        return newest
    _, last = _rows(warehouse, model, EARLIEST["day"], newest.end)
    if last is None:
        known = ", with an outcome" if model.null_outcome == "leave_out" else ""
        raise PenstockError(
            f"query of model {model.contract.model!r}",
            expected=f"rows that were asked before {newest.end:%Y-%m-%d}, the end of {newest}{known}",
            found="none",
            todo="Load the table, or look at the query's WHERE.",
        )
    period = Period.containing(last, model.every)
    count, _ = _rows(warehouse, model, period.start, period.end)
    _, earlier = _rows(warehouse, model, EARLIEST["day"], period.start)
    whole = period if earlier is None else Period.containing(earlier, model.every)
    if model.first_period and whole.start < model.first.start <= period.start:
        return period
    before, _ = _rows(warehouse, model, whole.start, whole.end)
    return whole if 2 * count < before else period


def _rows(
    warehouse: Warehouse, model: Model, since: datetime, until: datetime, *, any_outcome: bool = False
) -> tuple[int, datetime | None]:
    """How many rows were asked between two instants, and when the last of them was.

    With `any_outcome` those that the model leaves out count as well.
    """
    asked = quoted(model.contract.asked_at)
    left_out = model.null_outcome == "leave_out" and not any_outcome
    known = [f"{quoted(name)} IS NOT NULL" for name in model.outcomes] if left_out else []
    where = f" WHERE {' AND '.join(known)}" if known else ""
    query = f"SELECT count(*) AS n, max({asked}) AS last FROM (\n{subquery(model.query)}) AS asked{where}"
    with (
        query_of(f"model {model.contract.model!r}"),
        warehouse.batches(query, {"from": since, "until": until}) as batches,
    ):
        row: dict[str, Any] = next(row for batch in batches for row in batch.to_pylist())
    last = row["last"]
    if last is not None and not isinstance(last, date):
        raise PenstockError(
            f"query of model {model.contract.model!r}",
            expected=f"a date or time in column {model.contract.asked_at!r}",
            found=repr(last),
            todo=f"Cast it there: `CAST(… AS TIMESTAMP) AS {asked}`.",
        )
    if last is not None and not isinstance(last, datetime):
        last = datetime(last.year, last.month, last.day)
    return row["n"], last if last is None or last.tzinfo else last.replace(tzinfo=UTC)
