"""Values as literals of standard SQL, for drivers that bind none where a query is described."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from math import isfinite
from typing import Any

from penstock.warehouse.interface import WarehouseError, quoted_text

Literals = Mapping[type, Callable[[Any], str]]
"""Type of a value -> its literal, where a kind differs from the standard."""


def escaped(value: str) -> str:
    r"""A text for the kinds where a backslash in it escapes: `\\` is one, and `''` a quote.

    A quote is doubled, as in standard SQL, because the query is read for its texts again once its values are in it.
    """
    return quoted_text(value.replace("\\", "\\\\"))


def instant(value: datetime) -> str:
    """`2026-11-25 22:00:00.000000` of an instant, in UTC where it has a zone."""
    return (value if value.tzinfo is None else value.astimezone(UTC)).strftime("%Y-%m-%d %H:%M:%S.%f").zfill(26)


def _number(value: float) -> str:
    return repr(value) if "e" in repr(value) else f"{value!r}e0"


def _decimal(value: Decimal) -> str:
    return f"CAST('{value:f}' AS DECIMAL(38, {max(0, -int(value.as_tuple().exponent))}))"


STANDARD: Literals = {
    type(None): lambda _: "NULL",
    bool: lambda value: "TRUE" if value else "FALSE",
    int: str,
    float: _number,
    Decimal: _decimal,
    datetime: lambda value: f"TIMESTAMP '{instant(value)}{'' if value.tzinfo is None else ' UTC'}'",
    date: lambda value: f"DATE '{value.isoformat()}'",
    time: lambda value: f"TIME '{value.isoformat('microseconds')}'",
    str: quoted_text,
}
"""A subclass stands before its base: a bool is an int, a datetime a date."""


def literal(value: Any, special: Literals) -> str:
    """A value in SQL; WarehouseError for one of a type that no query is bound to."""
    finite = not isinstance(value, float | Decimal) or isfinite(value)
    for kind, written in STANDARD.items():
        if isinstance(value, kind) and finite:
            return special.get(kind, written)(value)
    raise WarehouseError(
        "a value that is bound",
        expected="a text, finite number, boolean, day, time, instant or nothing",
        found=repr(value) if not finite else type(value).__name__,
        todo="Write it into the query.",
    )
