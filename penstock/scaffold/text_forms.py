"""How texts write numbers, times, and that nothing is known."""

import re

TEXTS_THAT_SAY = {
    "numbers": r"^\s*[-+]?(\p{Sc}\s?)?(\d+|\d{1,3}([,.' \x{a0}]\d{3})+)([.,]\d+)?\s?(%|\p{Sc})?\s*$",
    "times": r"^\s*\d{4}[-/]\d{1,2}[-/]\d{1,2}([T ]\d{1,2}:\d\d.*)?\s*$",
    "days": r"^\s*(\d{1,2}[-/.]\d{1,2}[-/.]\d{2}(\d\d)?|\d{4}\.\d{1,2}\.\d{1,2})( \d{1,2}:\d\d.*)?\s*$",
}
"""What a text says that should be of another type -> how it is written. A cast takes `times`, and not `days`."""
MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "?", "-", ".")
"""Texts by which files say that nothing is known."""
_DAY = re.compile(r"\s*(\d+)([-/.])(\d+)[-/.](\d+)( \d+:\d+(:\d+)?)?\s*")
_OF_POSTGRES = {"%d": "DD", "%m": "MM", "%Y": "YYYY", "%y": "YY", "%H": "HH24", "%M": "MI", "%S": "SS"}


def day_format(example: str) -> str:
    """How strptime reads days that are written so; which of day and month is first is a guess."""
    found = _DAY.fullmatch(example)
    if found is None:
        return "%d.%m.%Y"
    first, mark, second, last = found.group(1, 2, 3, 4)
    clock = f" %H:%M{':%S' if found[6] else ''}" if found[5] else ""
    if len(first) == 4:
        return f"%Y{mark}%m{mark}%d{clock}"
    months_first = int(second) > 12 or (mark == "/" and int(first) <= 12)
    day_and_month = f"%m{mark}%d" if months_first else f"%d{mark}%m"
    return f"{day_and_month}{mark}{'%Y' if len(last) == 4 else '%y'}{clock}"


def of_postgres(text: str) -> str:
    """A format of strptime as to_timestamp of Postgres has it."""
    for own, theirs in _OF_POSTGRES.items():
        text = text.replace(own, theirs)
    return text
