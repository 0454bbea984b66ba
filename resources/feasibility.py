"""Whether a loaded table can be looked up as declared: by an index, and within the latency budget."""

import math
import time
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from model_tools.contract import Lookup
from resources.physical_table import PhysicalTable
from resources.publish_error import PublishError

TINY_ROWS = 1000
"""Up to here reading the whole table is as quick as an index."""
SAMPLED_KEYS = 200
_REPEATS = 25
_PAUSE_SECONDS = 0.005


def check_lookups(
    connection: psycopg.Connection, physical: PhysicalTable, lookups: Sequence[Lookup], rows: int
) -> dict[str, float]:
    """p99 in ms of each declared lookup over sampled keys; PublishError with plan and remedy if one is infeasible.

    A key that takes longer than the budget is asked again, and its best time counts: what a busy machine delays
    once it does not delay 25 times, what is slow stays slow.
    """
    return {lookup.name: _check_lookup(connection, physical, lookup, rows) for lookup in lookups}


def lookup_statement(physical: PhysicalTable, lookup: Lookup) -> sql.Composed:
    """The lookup of one request on a physical table, with one placeholder per key column and then as-of."""
    columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in lookup.columns)
    equal = [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder()) for name in lookup.key]
    newest: sql.Composable = sql.SQL("")
    if lookup.as_of:
        when = sql.Identifier(lookup.as_of[0])
        equal.append(sql.SQL("{} <= {}").format(when, sql.Placeholder()))
        newest = sql.SQL(" ORDER BY {} DESC").format(when)
    return sql.SQL("SELECT {} FROM {} WHERE {}{} LIMIT 1").format(
        columns, physical.identifier, sql.SQL(" AND ").join(equal), newest
    )


def _check_lookup(connection: psycopg.Connection, physical: PhysicalTable, lookup: Lookup, rows: int) -> float:
    _check_unique(connection, physical, lookup)
    keys = _sampled_keys(connection, physical, lookup, rows)
    if not keys:
        return 0.0
    statement = lookup_statement(physical, lookup)
    plan = _plan(connection, statement, keys[len(keys) // 2])
    if rows > TINY_ROWS and _reads_whole_table(plan, physical.name):
        raise _without_index(physical, lookup, rows, plan)
    p99 = _p99_ms(connection, statement, keys, lookup.budget_ms)
    if p99 > lookup.budget_ms:
        raise PublishError(
            f"lookup {lookup.name!r} of table {physical.table!r}",
            expected=f"at most {lookup.budget_ms} ms",
            found=f"p99 of {p99:.1f} ms over {len(keys)} sampled keys; the plan is {' > '.join(_steps(plan))}",
            todo="Look up fewer rows or columns, prejoin them in the warehouse, or raise budget_ms. "
            f"An index that serves it begins with {', '.join(_index_columns(lookup))}. Nothing was changed.",
        )
    return p99


def _index_columns(lookup: Lookup) -> tuple[str, ...]:
    return (*lookup.key, *((lookup.as_of[0],) if lookup.as_of else ()))


def _check_unique(connection: psycopg.Connection, physical: PhysicalTable, lookup: Lookup) -> None:
    columns = _index_columns(lookup)
    if set(physical.key) <= set(columns):
        return
    listed = sql.SQL(", ").join(map(sql.Identifier, columns))
    twice = connection.execute(
        sql.SQL("SELECT {0} FROM {1} GROUP BY {0} HAVING count(*) > 1 ORDER BY {0} LIMIT 1").format(
            listed, physical.identifier
        )
    ).fetchone()
    if twice is not None:
        raise PublishError(
            f"lookup {lookup.name!r} of table {physical.table!r}",
            expected=f"at most one row for each {', '.join(columns)}",
            found=f"several for {', '.join(f'{n}={v}' for n, v in zip(columns, twice, strict=True))}",
            todo="Add the missing column to the lookup's key, or group the table's query by it.",
        )


def _sampled_keys(
    connection: psycopg.Connection, physical: PhysicalTable, lookup: Lookup, rows: int
) -> list[tuple[Any, ...]]:
    """Keys of rows from all over the table, without reading the whole of it."""
    percent = 100.0 if rows <= TINY_ROWS else max(100.0 * SAMPLED_KEYS * 20 / rows, 0.1)
    listed = sql.SQL(", ").join(map(sql.Identifier, _index_columns(lookup)))
    statement = sql.SQL("SELECT {} FROM {} TABLESAMPLE SYSTEM ({}) REPEATABLE (0) ORDER BY random() LIMIT {}").format(
        listed, physical.identifier, sql.Literal(min(percent, 100.0)), sql.Literal(SAMPLED_KEYS)
    )
    return connection.execute(statement).fetchall()


def _plan(connection: psycopg.Connection, statement: sql.Composed, key: tuple[Any, ...]) -> dict[str, Any]:
    explained = psycopg.ClientCursor(connection).execute(sql.SQL("EXPLAIN (FORMAT json) ") + statement, key).fetchone()
    if explained is None:
        raise psycopg.DataError("EXPLAIN gave no plan")
    plan: dict[str, Any] = explained[0][0]["Plan"]
    return plan


def _reads_whole_table(plan: dict[str, Any], physical: str) -> bool:
    own = plan.get("Node Type") == "Seq Scan" and plan.get("Relation Name") == physical
    unbound = "Index" in plan.get("Node Type", "") and not plan.get("Index Cond") and "Plans" not in plan
    return own or unbound or any(_reads_whole_table(child, physical) for child in plan.get("Plans", ()))


def _p99_ms(
    connection: psycopg.Connection, statement: sql.Composed, keys: Sequence[tuple[Any, ...]], budget_ms: float
) -> float:
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


def _without_index(physical: PhysicalTable, lookup: Lookup, rows: int, plan: dict[str, Any]) -> PublishError:
    columns = ", ".join(f'"{name}"' for name in _index_columns(lookup))
    return PublishError(
        f"lookup {lookup.name!r} of table {physical.table!r}",
        expected="a plan that uses an index",
        found=f"a scan of all {rows} rows; the plan is {' > '.join(_steps(plan))}",
        todo=f"Declare indexes=[({columns},)] on the replicated table, "
        f'that is CREATE INDEX ON replicated."{physical.table}" ({columns}). Nothing was changed.',
    )


def _steps(plan: dict[str, Any]) -> list[str]:
    where = plan.get("Index Name") or plan.get("Relation Name")
    condition = plan.get("Index Cond") or plan.get("Filter")
    step = f"{plan['Node Type']}{f' on {where}' if where else ''}{f' {condition}' if condition else ''}"
    step += f" (cost {plan['Total Cost']}, rows {plan['Plan Rows']})"
    return [step, *(inner for child in plan.get("Plans", ()) for inner in _steps(child))]
