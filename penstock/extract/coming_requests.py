"""Requests that a backend would send next, read from the warehouse."""

from typing import Any

import msgspec

from penstock.declare.model import Model
from penstock.settings import Settings
from penstock.warehouse.opening import open_warehouse


def coming(settings: Settings, model: Model, count: int) -> list[dict[str, Any]]:
    """Up to `count` different requests, soonest first, as JSON-ready mappings that the contract accepts.

    A field without a value in the warehouse is left out where the contract has it optional.
    """
    bound = {"now": settings.now(), "count": count}
    with open_warehouse(settings).batches(model.requests_query, bound) as batches:
        rows = [row for batch in batches for row in batch.to_pylist()]
    known = [{name: value for name, value in row.items() if value is not None} for row in rows]
    for row in known:
        msgspec.convert(row, model.contract.request)
    return [msgspec.to_builtins(row) for row in known]
