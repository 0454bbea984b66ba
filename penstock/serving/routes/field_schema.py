"""JSON Schema of a request's fields: what msgspec's schema says, and all else that the service checks."""

import re
from typing import Any

import msgspec
from msgspec import inspect

from penstock.contract.contract import Contract
from penstock.contract.request_types import plain_types
from penstock.serving.answering.faults import IN_DIGITS, LARGEST_INTEGER, is_large

Schema = dict[str, Any]

_YEAR = "(000[2-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-8][0-9]{3}|9[0-8][0-9]{2}|99[0-8][0-9]|999[0-8])"
_FOURTHS = "(0[48]|[2468][048]|[13579][26])"
_LEAP_YEAR = f"([0-9]{{2}}{_FOURTHS}|{_FOURTHS}00)"
_DAY = "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
_DATE = f"({_YEAR}-{_DAY}|{_LEAP_YEAR}-02-29)"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
_OFFSET = "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
DATE = f"^{_DATE}$"
LOCAL_TIME = f"^{_DATE}T{_TIME}$"
ZONED_TIME = f"^{_DATE}T{_TIME}{_OFFSET}$"
ANY_TIME = f"^{_DATE}T{_TIME}{_OFFSET}?$"
NO_NUL = "^[^\\u0000]*$"
_MAY_MATCH_NUL = re.compile(r"\.|\[\^|\\[WDS]|^[^^]|[^$]$")
"""Of a pattern: a dot, an excluded set, or an end that is left open."""

_WIDTHS = {"integer": 20, "number": 25, "boolean": 5, "null": 4}


def complete(schema: Schema, contract: Contract) -> None:
    """Add to the schema of a contract's request: texts without U+0000, integers of 64 bits, days and times that are."""
    for field in msgspec.structs.fields(contract.request):
        made = schema["properties"][field.encode_name]
        options = {option.get("type"): option for option in (made, *made.get("anyOf", ()))}
        for member in plain_types(field.type):
            if isinstance(member, inspect.IntType) and (option := options.get("integer")) is not None:
                _bound(option, member)
            elif isinstance(member, inspect.StrType) and (option := options.get("string")) is not None:
                _without_nul(option)
            elif isinstance(member, inspect.DateTimeType | inspect.DateType):
                options["string"]["pattern"] = _pattern(member)
        if field.name in contract.zoneless_fields():
            _say(made, f"Without an offset it is read in {contract.zone}.")
        if is_large(field.type):
            _say(made, f"A whole number, {IN_DIGITS}.")


def _say(made: Schema, sentence: str) -> None:
    made["description"] = f"{made['description']} {sentence}" if "description" in made else sentence


def _bound(option: Schema, member: inspect.IntType) -> None:
    if member.ge is None and member.gt is None:
        option["minimum"] = -LARGEST_INTEGER
    if member.le is None and member.lt is None:
        option["maximum"] = LARGEST_INTEGER - 1


def _without_nul(option: Schema) -> None:
    if "pattern" not in option:
        option["pattern"] = NO_NUL
    elif _MAY_MATCH_NUL.search(option["pattern"]):
        option["allOf"] = [{"pattern": NO_NUL}]


def _pattern(member: inspect.DateTimeType | inspect.DateType) -> str:
    if isinstance(member, inspect.DateType):
        return DATE
    return ANY_TIME if member.tz is None else ZONED_TIME if member.tz else LOCAL_TIME


def most_requests(schema: Schema, bytes_in_all: int, most: int) -> int:
    """How many requests of a completed schema fit into a body even where each field is at its widest, `most` at most.

    `most` also where a field has no greatest length: nothing then says how many fit.
    """
    widths = {name: _width(field) for name, field in schema["properties"].items()}
    wide = sum(len(msgspec.json.encode(name)) + 4 + (width or 0) for name, width in widths.items())
    return most if None in widths.values() else max(1, min(most, bytes_in_all // (wide + 4)))


def _width(field: Schema) -> int | None:
    """Bytes of the field's longest value in JSON, blanks around it aside; None where it has no greatest length."""
    if "anyOf" in field:
        widths = [_width(option) for option in field["anyOf"]]
        return None if None in widths else max(width or 0 for width in widths)
    if "enum" in field:
        return max(len(msgspec.json.encode(value)) for value in field["enum"])
    if field.get("pattern") in (DATE, LOCAL_TIME, ZONED_TIME, ANY_TIME):
        return len('"2026-11-26T12:00:00.123456+00:00"')
    if field.get("type") == "string":
        return field["maxLength"] * len("\\ud83d\\ude00") + 2 if "maxLength" in field else None
    return _WIDTHS.get(field.get("type", ""))
