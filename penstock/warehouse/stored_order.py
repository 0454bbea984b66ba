"""Whether a query gives its rows in the order of a key by itself, because they lie in the DuckDB file that way."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

_KEEPS_ORDER = frozenset({"SEQ_SCAN", "PROJECTION", "FILTER"})
"""Operators that hand on rows as they are stored, and cheaply: asking runs them once more, over the key alone."""


def comes_in_order(
    connection: duckdb.DuckDBPyConnection, query: str, bound: Mapping[str, Any], key: Sequence[str]
) -> bool:
    """True if the rows of `query` strictly ascend by `key`, so that sorting them would change nothing.

    Asked of one stored table, filtered or computed on, by reading its key until the first row that does not ascend. A
    query that joins, groups or sorts is not asked: that could cost as much as the query. `connection` has to preserve
    the order of insertion, and to be open while the rows are read, read-only, such that they cannot change.
    """
    if not _scans_one_table(connection, query, bound):
        return False
    keys = ", ".join(f"{quoted(column)} AS k{place}" for place, column in enumerate(key))
    before = ", ".join(f"lag(k{place}) OVER () AS b{place}" for place in range(len(key)))
    found = connection.execute(
        f"""SELECT 1 FROM (SELECT *, {before}, row_number() OVER () AS n FROM (SELECT {keys} FROM ({query})))
            WHERE n > 1 AND ({_ascends(0, len(key))}) IS NOT TRUE LIMIT 1""",
        dict(bound),
    )
    return not found.fetchall()


def quoted(name: str) -> str:
    """A name as an identifier."""
    return '"' + name.replace('"', '""') + '"'


def _scans_one_table(connection: duckdb.DuckDBPyConnection, query: str, bound: Mapping[str, Any]) -> bool:
    explained = connection.execute(f"EXPLAIN (FORMAT json) {query}", dict(bound)).fetchall()
    node = {"children": json.loads(explained[0][1])}
    while children := node["children"]:
        if len(children) != 1 or children[0]["name"] not in _KEEPS_ORDER:
            return False
        node = children[0]
    return True


def _ascends(place: int, length: int) -> str:
    """SQL that is true where the key is greater than the one before it, compared from its column `place` on."""
    less = f"b{place} < k{place}"
    return less if place + 1 == length else f"{less} OR (b{place} = k{place} AND ({_ascends(place + 1, length)}))"
