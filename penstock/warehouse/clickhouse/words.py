"""Standard SQL as ClickHouse reads it, where it would read something else or nothing.

| written | sent | because |
|---|---|---|
| `CAST(x AS timestamp)`, `x::timestamp` | `DateTime64(6)` | ClickHouse's TIMESTAMP has whole seconds |
| the same with `timestamptz` or `timestamp with time zone` | `DateTime64(6, 'UTC')` | it has no such name |
| `TIMESTAMP '…'`, `TIMESTAMPTZ '…'` | a cast of the text | likewise |
| `THEN 1`, `ELSE 0`, `1 AS x` | `toInt32(1)` | a whole number is an INTEGER; ClickHouse takes the narrowest type |
| `a > 1 AS late` | `CAST((a > 1) AS Bool) AS late` | a condition is a boolean; ClickHouse takes a UInt8 |

Nothing in a text, a quoted name or a comment is touched, and nothing that ClickHouse alone has.
"""

import re

from penstock.warehouse.clickhouse.conditions import conditions
from penstock.warehouse.query_text import outside

_ZONED = r"timestamptz|timestamp\s+with\s+time\s+zone"
_LOCAL = r"timestamp(?:\s+without\s+time\s+zone)?"
_LITERAL = re.compile(rf"\b(?:(?P<zoned>{_ZONED})|(?P<local>{_LOCAL}))\s*(?P<text>'(?:[^']|'')*')", re.IGNORECASE)
_AFTER_COLONS = re.compile(rf"(?<=::)\s*(?:(?P<zoned>{_ZONED})|(?P<local>{_LOCAL}))\b(?!\s*\()", re.IGNORECASE)
_IN_CAST = re.compile(rf"(?<=\bAS\s)\s*(?:(?P<zoned>{_ZONED})|(?P<local>{_LOCAL}))\s*(?=\))", re.IGNORECASE)
_BRANCH = re.compile(r"\b(?:THEN|ELSE)\s+(?P<number>-?\d{1,10})\b(?![.\w])", re.IGNORECASE)
_ITEM = re.compile(r"(?:\bSELECT\s+|,\s*)(?P<number>-?\d{1,10})(?=\s+AS\s)", re.IGNORECASE)
_PARENTHESIS = re.compile(r"(?P<cast>\bCAST\s*)?\(|\)", re.IGNORECASE)
INTEGERS = range(-(2**31), 2**31)


def clickhouse_words(text: str) -> str:
    """The text with the words of the table above replaced."""
    hidden = outside(text)
    edits = [
        (found.start(), found.end(), f"CAST({text[found.start('text') : found.end('text')]} AS {_type(found)})")
        for found in _LITERAL.finditer(text)
        if hidden[found.start()] == text[found.start()]
    ]
    edits += [(found.start(), found.end(), _type(found)) for found in _AFTER_COLONS.finditer(hidden)]
    casts = set(_ends_of_casts(hidden))
    edits += [(found.start(), found.end(), _type(found)) for found in _IN_CAST.finditer(hidden) if found.end() in casts]
    for pattern in (_BRANCH, _ITEM):
        for found in pattern.finditer(hidden):
            if int(found["number"]) in INTEGERS:
                edits.append((found.start("number"), found.end("number"), f"toInt32({found['number']})"))
    edits += conditions(hidden)
    for first, last, new in sorted(edits, reverse=True):
        text = text[:first] + new + text[last:]
    return text


def _type(found: "re.Match[str]") -> str:
    return "DateTime64(6, 'UTC')" if found["zoned"] else "DateTime64(6)"


def _ends_of_casts(text: str) -> list[int]:
    """The places of the parentheses that close a CAST."""
    ends, inside = [], []
    for found in _PARENTHESIS.finditer(text):
        if found[0] != ")":
            inside.append(found["cast"] is not None)
        elif inside and inside.pop():
            ends.append(found.start())
    return ends
