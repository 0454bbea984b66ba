"""What one lookup costs on a table: the statement, keys to try it with, and its p99."""

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import pq, sql

from penstock.contract.contract import Lookup

TINY_ROWS = 1000
"""Up to here reading the whole table is as quick as an index."""
SAMPLED_KEYS = 200
_REPEATS = 25
_PAUSE_SECONDS = 0.005
_numbers = itertools.count()

Key = tuple[str, ...]


def index_columns(lookup: Lookup) -> tuple[str, ...]:
    """The columns of the index that serves a lookup, in order."""
    return (*lookup.key, *((lookup.as_of[0],) if lookup.as_of else ()))


@contextmanager
def prepared_lookup(connection: psycopg.Connection, relation: sql.Identifier, lookup: Lookup) -> Iterator[str]:
    """The lookup of one request on a table, prepared under a name that is given, with one parameter per key column
    and then as-of."""
    name = f"lookup_{next(_numbers)}"
    columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in lookup.columns)
    wanted = [sql.SQL("{} = {}").format(sql.Identifier(key), sql.SQL(f"${n}")) for n, key in enumerate(lookup.key, 1)]
    newest: sql.Composable = sql.SQL("")
    if lookup.as_of:
        when = sql.Identifier(lookup.as_of[0])
        wanted.append(sql.SQL("{} <= {}").format(when, sql.SQL(f"${len(wanted) + 1}")))
        newest = sql.SQL(" ORDER BY {} DESC").format(when)
    connection.execute(
        sql.SQL("PREPARE {} AS SELECT {} FROM {} WHERE {}{} LIMIT 1").format(
            sql.Identifier(name), columns, relation, sql.SQL(" AND ").join(wanted), newest
        )
    )
    yield name
    connection.execute(sql.SQL("DEALLOCATE {}").format(sql.Identifier(name)))


def sampled_keys(connection: psycopg.Connection, relation: sql.Identifier, lookup: Lookup, rows: int) -> list[Key]:
    """Keys without nulls of rows from all over the table, as text, without reading the whole of it."""
    percent = 100.0 if rows <= TINY_ROWS else max(100.0 * SAMPLED_KEYS * 20 / rows, 0.1)
    listed = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in index_columns(lookup))
    known = sql.SQL(" AND ").join(sql.SQL("{} IS NOT NULL").format(sql.Identifier(n)) for n in index_columns(lookup))
    statement = sql.SQL(
        "SELECT {} FROM {} TABLESAMPLE SYSTEM ({}) REPEATABLE (0) WHERE {} ORDER BY random() LIMIT {}"
    ).format(listed, relation, sql.Literal(min(percent, 100.0)), known, sql.Literal(SAMPLED_KEYS))
    return connection.execute(statement).fetchall()


def p99_ms(connection: psycopg.Connection, prepared: str, keys: Sequence[Key], budget_ms: float) -> float:
    """The p99 over keys. A key that takes longer than the budget is asked again, and its best time counts: what a
    busy machine delays once it does not delay 25 times, what is slow stays slow."""
    name, took = prepared.encode(), []
    for key in keys:
        values = [value.encode() for value in key]
        best = _ms(connection, name, values)
        for _ in range(_REPEATS):
            if best <= budget_ms:
                break
            time.sleep(_PAUSE_SECONDS)
            best = min(best, _ms(connection, name, values))
        took.append(best)
        if sum(best > budget_ms for best in took) > len(keys) // 100:
            break  # the p99 is over the budget whatever follows
    return sorted(took)[math.ceil(0.99 * len(took)) - 1]


def _ms(connection: psycopg.Connection, name: bytes, values: Sequence[bytes]) -> float:
    """One lookup, by libpq alone: what psycopg adds in Python is not the table's cost."""
    started = time.perf_counter()
    result = connection.pgconn.exec_prepared(name, values)
    took = (time.perf_counter() - started) * 1000
    if result.status != pq.ExecStatus.TUPLES_OK:
        raise psycopg.errors.error_from_result(result)
    return took
