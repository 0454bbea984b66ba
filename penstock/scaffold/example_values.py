"""Values of a request and of table rows, for the test of a new model."""

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from penstock.scaffold.model_plan import Field, LookupPlan, ModelPlan
from penstock.scaffold.names import literal


def example(plan: ModelPlan) -> dict[str, Any]:
    """A request of the most frequent values, JSON-ready."""
    known = {f.name: _json(f) for f in plan.fields if f.column.example is not None}
    return known | {plan.asked_at.name: "2026-01-01T12:00:00Z"}


def table_example(lookup: LookupPlan, request: dict[str, Any]) -> dict[str, str]:
    """A row of a lookup's table as Python source, which a request finds."""
    row = {}
    for own in lookup.key_fields:
        field = lookup.key[own.name]
        row[own.name] = _source(own, request[field]) if field in request else literal(_json(own))
    if lookup.known_at is not None:
        row[lookup.known_at.name] = "datetime(2000, 1, 1, tzinfo=UTC)"
    return row | {f.name: _source(f, _json(f)) for f in lookup.columns}


def _json(field: Field) -> Any:
    value = field.column.example
    if isinstance(value, datetime) and value.tzinfo is None and field.storage.zone:
        value = value.replace(tzinfo=ZoneInfo(field.storage.zone))
    if isinstance(value, datetime | date):
        return value.isoformat()
    convert = {"float": float, "int": int, "str": str}.get(field.storage.python)
    return value if convert is None or value is None else convert(value)


def _source(field: Field, value: Any) -> str:
    if field.is_time and value is not None:
        return f"{field.storage.python}.fromisoformat({literal(str(value))})"
    return literal(value)
