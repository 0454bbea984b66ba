"""Values as literals of standard SQL, for drivers that bind none where a query is described."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timezone
from decimal import Decimal
from math import isfinite
from typing import Any

from penstock.warehouse.interface import WarehouseError

Literals = Mapping[type, Callable[[Any], str]]
"""Type of a value -> its literal, where a kind differs from the standard."""


def text(value: str) -> str:
    """A text in single quotes, which are doubled in it."""
    return "'" + value.replace("'", "''") + "'"


def escaped(value: str) -> str:
    r"""A text for the kinds where a backslash in it escapes: `\\` and `\'`."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def instant(value: datetime) -> str:
    """`2026-11-25 22:00:00.000000` of an instant, in UTC where it has a zone."""
    return (
        (value if value.tzinfo is None else value.astimezone(timezone.utc)).strftime("%Y-%m-%d %H:%M:%S.%f").zfill(26)
    )


def literal(value: Any, special: Literals) -> str:
    """A value in SQL; WarehouseError for one of a type that no query is bound to."""
    for kind, written in special.items():
        if isinstance(value, kind):
            return written(value)
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float) and isfinite(value):
        return repr(value) if "e" in repr(value) else f"{value!r}e0"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal) and value.is_finite():
        return f"CAST('{value:f}' AS DECIMAL(38, {max(0, -int(value.as_tuple().exponent))}))"
    if isinstance(value, datetime):
        return f"TIMESTAMP '{instant(value)}{'' if value.tzinfo is None else ' UTC'}'"
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    if isinstance(value, time):
        return f"TIME '{value.isoformat('microseconds')}'"
    if isinstance(value, str):
        return text(value)
    raise WarehouseError(
        "a value that is bound",
        expected="a text, number, boolean, day, time, instant or nothing",
        found=type(value).__name__,
        todo="Write it into the query.",
    )
