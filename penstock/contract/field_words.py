"""What a request field accepts, in words for whoever filled it in."""

from functools import lru_cache
from typing import Any

import msgspec
from msgspec import inspect

from penstock.contract.request_types import choices, plain_types

LOCAL = "a local time without an offset, like 2026-01-31T12:00:00"
ZONED = "a time with an offset, like 2026-01-31T12:00:00Z"
DAY = "a date, like 2026-01-31"


@lru_cache(maxsize=1000)
def field_words(annotation: Any) -> str:
    """What a field of this type accepts: "a whole number from 0 to 99, or null"."""
    members = plain_types(annotation)
    words = " or ".join(_words(member) for member in members if not isinstance(member, inspect.NoneType))
    return f"{words}, or null" if any(isinstance(member, inspect.NoneType) for member in members) else words


def _words(member: inspect.Type) -> str:
    match member:
        case inspect.IntType() | inspect.FloatType():
            return f"a {'whole ' * isinstance(member, inspect.IntType)}number{_bounds(member)}"
        case inspect.StrType():
            matching = f" that matches {member.pattern}" if member.pattern else ""
            return f"text{_length(member.min_length, member.max_length)}{matching}"
        case inspect.DateTimeType():
            return LOCAL if member.tz is False else ZONED if member.tz else f"{ZONED}, or without one"
        case inspect.EnumType() | inspect.LiteralType():
            return f"one of {', '.join(msgspec.json.encode(value).decode() for value in choices(member))}"
    return {inspect.BoolType: "true or false", inspect.DateType: DAY}.get(type(member), "another value")


def _bounds(number: inspect.IntType | inspect.FloatType) -> str:
    if number.ge is not None and number.le is not None:
        said = [f" from {number.ge:g} to {number.le:g}" if _short(number) else f" from {number.ge} to {number.le}"]
    else:
        limits = {"at least": number.ge, "above": number.gt, "at most": number.le, "below": number.lt}
        said = [f" {word} {limit}" for word, limit in limits.items() if limit is not None]
    if number.multiple_of is not None:
        said.append(f" a multiple of {number.multiple_of}")
    return " and".join(said)


def _short(number: inspect.IntType | inspect.FloatType) -> bool:
    """Whether %g shows the bounds as they are."""
    return all(float(f"{limit:g}") == limit for limit in (number.ge, number.le) if limit is not None)


def _length(least: int | None, most: int | None) -> str:
    if most is None:
        return f" of at least {least} character{'s' * (least != 1)}" if least else ""
    if least is None:
        return f" of at most {most} character{'s' * (most != 1)}"
    return f" of {least} to {most} characters" if least != most else f" of {most} character{'s' * (most != 1)}"
