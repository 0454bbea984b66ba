"""JSON Schema of a request's fields: what msgspec's schema says, and all else that the service checks."""

import re
from typing import Any

import msgspec
from msgspec import inspect

from penstock.contract.contract import Contract
from penstock.contract.request_types import plain_types
from penstock.serving.answering.faults import LARGEST_INTEGER

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
            said = f"Without an offset it is read in {contract.zone}."
            made["description"] = f"{made['description']} {said}" if "description" in made else said


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
