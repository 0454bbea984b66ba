"""Standard SQL as ClickHouse reads it, where it would read something else or nothing.

| written | sent | because |
|---|---|---|
| `CAST(x AS timestamp)` | `DateTime64(6)`, without a zone | its TIMESTAMP has whole seconds, and a cast keeps a zone |
| `x::timestamp` | `DateTime64(6)` | likewise, but a zone stays |
| the same with `timestamptz` or `timestamp with time zone` | `DateTime64(6, 'UTC')` | it has no such name |
| the same with `date` | `Date32` | its DATE begins in 1970, and a day before that becomes another |
| `DATE '…'`, `TIMESTAMP '…'`, `TIMESTAMPTZ '…'` | a cast of the text | likewise |
| `THEN 1`, `ELSE 0`, `1 AS x` | `toInt32(1)` | a whole number is an INTEGER; ClickHouse takes the narrowest type |
| `a > 1 AS late` | `CAST((a > 1) AS Bool) AS late` | a condition is a boolean; ClickHouse takes a UInt8 |
| `CREATE SCHEMA x`, `DROP SCHEMA x CASCADE` | `CREATE DATABASE x`, `DROP DATABASE x` | it has no schemas |

Beside them `AT TIME ZONE` (`time_zones.py`) and functions of texts and windows (`functions.py`).
Nothing in a text, a quoted name or a comment is touched, and nothing that ClickHouse alone has.
"""

import re
from collections.abc import Iterator

from penstock.warehouse.clickhouse.conditions import conditions
from penstock.warehouse.clickhouse.functions import functions
from penstock.warehouse.clickhouse.time_zones import Edit, time_zones
from penstock.warehouse.query_text import outside

_TYPE = (
    r"(?:(?P<zoned>timestamptz|timestamp\s+with\s+time\s+zone)|(?P<local>timestamp(?:\s+without\s+time\s+zone)?)"
    r"|(?P<day>date))"
)
_LITERAL = re.compile(rf"\b{_TYPE}\s*(?P<text>'(?:[^']|'')*')", re.IGNORECASE)
_AFTER_COLONS = re.compile(rf"(?<=::)\s*{_TYPE}\b(?!\s*\()", re.IGNORECASE)
_IN_CAST = re.compile(rf"(?<=\bAS\s)\s*{_TYPE}\s*(?=\))", re.IGNORECASE)
_BRANCH = re.compile(r"\b(?:THEN|ELSE)\s+(?P<number>-?\d{1,10})\b(?![.\w])", re.IGNORECASE)
_ITEM = re.compile(r"(?:\bSELECT\s+|,\s*)(?P<number>-?\d{1,10})(?=\s+AS\s)", re.IGNORECASE)
_PARENTHESIS = re.compile(r"(?P<cast>\bCAST\s*)?\(|\)", re.IGNORECASE)
_SCHEMA = re.compile(
    r"\b(?:CREATE|(?P<drop>DROP))\s+(?P<word>SCHEMA)\b(?(drop)[^;]*?(?P<all>\s+CASCADE)?\s*(?=;|$))", re.IGNORECASE
)
_WALL_CLOCK = ("fromUnixTimestamp64Micro(toUnixTimestamp64Micro(", "))")
"""Around an instant: what clocks in UTC show then, as a time without a zone."""
INTEGERS = range(-(2**31), 2**31)


def clickhouse_words(text: str) -> str:
    """The text with the words of the table above replaced. WarehouseError for what cannot be; nothing was sent then."""
    hidden = outside(text)
    for first, last, new in sorted(_edits(text, hidden), reverse=True):
        text = text[:first] + new + text[last:]
    return text


def _edits(text: str, hidden: str) -> Iterator[Edit]:
    for found in _LITERAL.finditer(text):
        if hidden[found.start()] == text[found.start()]:
            yield found.start(), found.end(), f"CAST({text[found.start('text') : found.end('text')]} AS {_type(found)})"
    for found in _AFTER_COLONS.finditer(hidden):
        yield found.start(), found.end(), _type(found)
    ends, begins = _pairs(hidden)
    to_times: dict[int, tuple[int, bool]] = {}
    for found in _IN_CAST.finditer(hidden):
        begin = begins.get(found.end())
        if begin is None:
            continue
        if found["day"]:
            yield found.start(), found.end(), _type(found)
            continue
        to_times[found.end() + 1] = (begin, found["zoned"] is not None)
        yield found.start(), found.end(), "DateTime64(6, 'UTC')"
        if found["local"]:
            yield begin, begin, _WALL_CLOCK[0]
            yield found.end() + 1, found.end() + 1, _WALL_CLOCK[1]
    for pattern in (_BRANCH, _ITEM):
        for found in pattern.finditer(hidden):
            if int(found["number"]) in INTEGERS:
                yield found.start("number"), found.end("number"), f"toInt32({found['number']})"
    for found in _SCHEMA.finditer(hidden):
        yield found.start("word"), found.end("word"), "DATABASE"
        if found["all"]:
            yield found.start("all"), found.end("all"), ""
    yield from conditions(hidden)
    yield from functions(hidden, ends)
    yield from time_zones(text, hidden, to_times)


def _type(found: "re.Match[str]") -> str:
    return "Date32" if found["day"] else "DateTime64(6, 'UTC')" if found["zoned"] else "DateTime64(6)"


def _pairs(hidden: str) -> tuple[dict[int, int], dict[int, int]]:
    """Where each parenthesis opens -> where it closes; and where that of a CAST closes -> where its CAST begins."""
    ends, begins, inside = dict[int, int](), dict[int, int](), list[tuple[int, int | None]]()
    for found in _PARENTHESIS.finditer(hidden):
        if found[0] != ")":
            inside.append((found.end() - 1, found.start() if found["cast"] else None))
        elif inside:
            opened, cast = inside.pop()
            ends[opened] = found.start()
            if cast is not None:
                begins[found.start()] = cast
    return ends, begins
