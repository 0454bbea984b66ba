"""What one lookup costs on a table: the statement, keys to try it with, and its p99."""

import math
import time
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from model_tools.contract import Lookup

TINY_ROWS = 1000
"""Up to here reading the whole table is as quick as an index."""
SAMPLED_KEYS = 200
_REPEATS = 25
_PAUSE_SECONDS = 0.005


def index_columns(lookup: Lookup) -> tuple[str, ...]:
    """The columns of the index that serves a lookup, in order."""
    return (*lookup.key, *((lookup.as_of[0],) if lookup.as_of else ()))


def lookup_statement(relation: sql.Identifier, lookup: Lookup) -> sql.Composed:
    """The lookup of one request on a table, with one placeholder per key column and then as-of."""
    columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in lookup.columns)
    equal = [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder()) for name in lookup.key]
    newest: sql.Composable = sql.SQL("")
    if lookup.as_of:
        when = sql.Identifier(lookup.as_of[0])
        equal.append(sql.SQL("{} <= {}").format(when, sql.Placeholder()))
        newest = sql.SQL(" ORDER BY {} DESC").format(when)
    return sql.SQL("SELECT {} FROM {} WHERE {}{} LIMIT 1").format(
        columns, relation, sql.SQL(" AND ").join(equal), newest
    )


def sampled_keys(
    connection: psycopg.Connection, relation: sql.Identifier, lookup: Lookup, rows: int
) -> list[tuple[Any, ...]]:
    """Keys of rows from all over the table, without reading the whole of it."""
    percent = 100.0 if rows <= TINY_ROWS else max(100.0 * SAMPLED_KEYS * 20 / rows, 0.1)
    listed = sql.SQL(", ").join(map(sql.Identifier, index_columns(lookup)))
    statement = sql.SQL("SELECT {} FROM {} TABLESAMPLE SYSTEM ({}) REPEATABLE (0) ORDER BY random() LIMIT {}").format(
        listed, relation, sql.Literal(min(percent, 100.0)), sql.Literal(SAMPLED_KEYS)
    )
    return connection.execute(statement).fetchall()


def p99_ms(
    connection: psycopg.Connection, statement: sql.Composed, keys: Sequence[tuple[Any, ...]], budget_ms: float
) -> float:
    """The p99 over keys. A key that takes longer than the budget is asked again, and its best time counts: what a
    busy machine delays once it does not delay 25 times, what is slow stays slow."""
    took = []
    for key in keys:
        best = _ms(connection, statement, key)
        for _ in range(_REPEATS):
            if best <= budget_ms:
                break
            time.sleep(_PAUSE_SECONDS)
            best = min(best, _ms(connection, statement, key))
        took.append(best)
        if sum(best > budget_ms for best in took) > len(keys) // 100:
            break  # the p99 is over the budget whatever follows
    return sorted(took)[math.ceil(0.99 * len(took)) - 1]


def _ms(connection: psycopg.Connection, statement: sql.Composed, key: tuple[Any, ...]) -> float:
    started = time.perf_counter()
    connection.execute(statement, key, prepare=True).fetchone()
    return (time.perf_counter() - started) * 1000
