"""Requests that a backend would send next, read from the warehouse."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from penstock.declare.model import Model
from penstock.declare.periods import EARLIEST
from penstock.errors import PenstockError
from penstock.extract.extract import query_of
from penstock.warehouse.interface import Warehouse, quoted
from penstock.warehouse.query_text import bind, subquery


def coming(model: Model, count: int, warehouse: Warehouse, now: datetime) -> list[dict[str, Any]]:
    """Up to `count` different requests, soonest first, as JSON-ready mappings that the contract accepts.

    - A field without a value in the warehouse is left out where the contract has it optional.
    - A row that the contract refuses is left out; PenstockError with the reason where it refuses all.
    """
    query = requests_query(model)
    values: dict[str, Any] = {"now": now, "count": count, "from": EARLIEST["day"], "until": now}
    used: list[str] = []

    def note(name: str) -> str:
        used.append(name)
        return name

    bind(query, values, note)
    bound = {name: values[name] for name in used}
    with query_of(f"requests of model {model.contract.model!r}"), warehouse.batches(query, bound) as batches:
        rows = [row for batch in batches for row in batch.to_pylist()]
    accepted, refused = [], ""
    for row in rows:
        known = {name: _plain(value) for name, value in row.items() if value is not None}
        try:
            msgspec.convert(known, model.contract.request)
        except msgspec.ValidationError as error:
            refused = refused or str(error)
            continue
        accepted.append(msgspec.to_builtins(known))
    if rows and not accepted:
        raise PenstockError(
            f"requests of model {model.contract.model!r}",
            expected="rows that its contract accepts",
            found=f"{len(rows)} that it refuses: {refused}",
            todo="Correct requests_query (without one, query), or the request's types and bounds.",
        )
    return accepted


def requests_query(model: Model) -> str:
    """The declared query of coming requests; without one, the newest rows of the training query, without outcomes."""
    if model.requests_query:
        return model.requests_query
    asked = quoted(model.contract.asked_at)
    fields = [name for name in model.contract.request_kinds() if name != model.contract.asked_at]
    source = f"SELECT {', '.join(map(quoted, fields))} FROM (\n{subquery(model.query)}) AS asked"
    # Of rows that were asked about at one instant, the entity decides, so that every warehouse returns the same ones.
    order = ", ".join([f"{asked} DESC", *(quoted(name) for name in model.contract.entity if name in fields)])
    return f"{source} WHERE {asked} <= :now ORDER BY {order} LIMIT :count"


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value
