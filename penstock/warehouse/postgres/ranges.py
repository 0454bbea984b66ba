"""Ranges of the key in which a query of Postgres is read in parallel, by what the planner says and without a scan.

- A range is worth it where an index finds it: the planner's cost of all parts is near that of the one query.
- The parts fit together where each row is made of stored rows alone: a plan of scans and joins, functions that are
  immutable, no null in the key. `LIMIT`, `now()` or `random()` could be another in each connection.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pyarrow as pa

from penstock.warehouse.interface import quoted
from penstock.warehouse.parts import KeyRange
from penstock.warehouse.query_text import subquery

MOST_PARTS = 64
_DEAREST = 2.0
"""What all parts may cost by the planner, as a multiple of the one query. Else there are half as many, or none."""
_NEAR = 0.1
"""How near to its share of the rows a bound has to be."""
_SCANS = frozenset(
    {"Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan", "Bitmap Index Scan", "BitmapAnd", "BitmapOr"}
    | {"Tid Scan", "Gather", "Gather Merge", "Append", "Merge Append", "Result", "Sort", "Incremental Sort", "Hash"}
    | {"Hash Join", "Merge Join", "Nested Loop", "Materialize", "Memoize", "Subquery Scan"}
)
"""Operators whose rows are a function of the stored rows."""
_CALL = re.compile(r"([A-Za-z_]\w*)\(")
_CLOCK = re.compile(r"\b(CURRENT_\w+|LOCALTIME\w*|SESSION_USER|USER)\b")
_CONSTANT_CLOCK = re.compile(r"'\s*(now|today|yesterday|tomorrow)\b", re.I)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS = (1, date.max.toordinal())
_MICROSECONDS = (-62_135_596_800_000_000, 253_402_300_799_999_999)
_WHOLE: dict[pa.DataType, tuple[int, int]] = {
    pa.int16(): (-(1 << 15), (1 << 15) - 1),
    pa.int32(): (-(1 << 31), (1 << 31) - 1),
    pa.int64(): (-(1 << 63), (1 << 63) - 1),
    pa.date32(): _DAYS,
    pa.timestamp("us"): _MICROSECONDS,
    pa.timestamp("us", "UTC"): _MICROSECONDS,
}
"""Types of a key that are whole numbers underneath: least and greatest."""
_NAMES = {pa.int16(): "smallint", pa.int32(): "integer", pa.int64(): "bigint"}


def key_ranges(
    connection: psycopg.Connection[Any], query: str, key: str, kind: pa.DataType, statement: str, part_rows: int
) -> list[KeyRange]:
    """Ranges of about `part_rows` rows of the query's column `key`; empty where it should be read at once.

    `statement` is the query as it would be read at once.
    """
    if kind not in _WHOLE or _CONSTANT_CLOCK.search(query):
        return []
    plan = _plan(connection, statement)
    rows = int(plan["Plan Rows"])
    number = min(MOST_PARTS, round(rows / part_rows))
    if number < 2 or not _is_of_stored_rows(connection, plan):
        return []
    source = f"FROM (\n{subquery(query)}) AS extract"
    column = f"extract.{quoted(key)}"

    def share(bound: int) -> float:
        found = _plan(connection, f"SELECT 1 {source} WHERE {column} < {_literal(bound, kind)}")["Plan Rows"]
        return float(found) / rows

    bounds = sorted(set(_bounds(share, number, _WHOLE[kind])))
    while bounds and _cost(connection, statement, key, kind, bounds) > _DEAREST * plan["Total Cost"]:
        bounds = bounds[1::2]
    nulls = connection.execute(f"SELECT 1 {source} WHERE {column} IS NULL LIMIT 1".encode()) if bounds else None
    return _between(bounds, kind) if nulls is not None and nulls.fetchone() is None else []


def _cost(
    connection: psycopg.Connection[Any], statement: str, key: str, kind: pa.DataType, bounds: Sequence[int]
) -> float:
    parts = _between(bounds, kind)
    return sum(float(_plan(connection, within(statement, key, one))["Total Cost"]) for one in parts)


def _between(bounds: Sequence[int], kind: pa.DataType) -> list[KeyRange]:
    ends = [_literal(bound, kind) for bound in bounds]
    return [KeyRange(low, high) for low, high in zip(["", *ends], [*ends, ""], strict=True)]


def within(statement: str, key: str, wanted: KeyRange) -> str:
    """A statement that ends in `AS extract ORDER BY …`, for the rows of a range only."""
    column = f"extract.{quoted(key)}"
    said = [f"{column} >= {wanted.low}"] * bool(wanted.low) + [f"{column} < {wanted.high}"] * bool(wanted.high)
    head, marked, order = statement.rpartition(") AS extract ORDER BY ")
    assert marked, "the statement is one of this room"
    return f"{head}) AS extract WHERE {' AND '.join(said) or 'true'} ORDER BY {order}"


def _bounds(share: Callable[[int], float], number: int, whole: tuple[int, int]) -> Iterator[int]:
    """The bounds of `number` parts, each found by bisection between those that the ones before it have tried."""
    tried = {whole[0]: 0.0, whole[1]: 1.0}
    for part in range(1, number):
        low = max(bound for bound, found in tried.items() if found * number < part)
        high = min(bound for bound, found in tried.items() if found * number >= part)
        while low + 1 < high:
            middle = (low + high) // 2
            tried[middle] = share(middle)
            off = tried[middle] * number - part
            low, high = (middle, high) if off < 0 else (low, middle)
            if abs(off) <= _NEAR:
                high = middle
                break
        yield high


def _literal(whole: int, kind: pa.DataType) -> str:
    if kind in _NAMES:
        return f"'{whole}'::{_NAMES[kind]}"
    if pa.types.is_date32(kind):
        return f"'{date.fromordinal(whole).isoformat()}'::date"
    instant = (_EPOCH + timedelta(microseconds=whole)).isoformat(" ", "microseconds")
    return f"'{instant}'::timestamptz" if kind.tz else f"'{instant.removesuffix('+00:00')}'::timestamp"


def _plan(connection: psycopg.Connection[Any], statement: str) -> Mapping[str, Any]:
    (found,) = connection.execute(f"EXPLAIN (VERBOSE, FORMAT JSON) {statement}".encode()).fetchone() or ([],)
    plan: Mapping[str, Any] = found[0]["Plan"]
    return plan


def _is_of_stored_rows(connection: psycopg.Connection[Any], plan: Mapping[str, Any]) -> bool:
    """Whether the result of a plan depends on stored rows only, in whatever parts they are read."""
    nodes, texts = list(_nodes(plan)), list(_texts(plan))
    if any(node["Node Type"] not in _SCANS for node in nodes) or any(_CLOCK.search(text) for text in texts):
        return False
    called = sorted({name for text in texts for name in _CALL.findall(text)})
    changing = connection.execute(
        "SELECT 1 FROM pg_proc WHERE proname = ANY(%s) AND provolatile <> 'i' LIMIT 1", (called,)
    )
    return changing.fetchone() is None


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _texts(found: Any) -> Iterator[str]:
    if isinstance(found, str):
        yield found
    elif isinstance(found, Mapping):
        for value in found.values():
            yield from _texts(value)
    elif isinstance(found, Sequence):
        for value in found:
            yield from _texts(value)
