"""Whether every declared lookup of a loaded table uses an index and is within its latency budget."""

from collections.abc import Sequence, Set
from typing import Any

import psycopg
from psycopg import sql

from penstock.contract.contract import Lookup
from penstock.lookups.cost import TINY_ROWS, Key, index_columns, p99_ms, prepared_lookup, sampled_keys
from penstock.lookups.sql import SESSION
from penstock.postgres.quoting import quoted
from penstock.replicated.error import PublishError
from penstock.replicated.physical_table import PhysicalTable


def check_lookups(
    connection: psycopg.Connection, physical: PhysicalTable, lookups: Sequence[Lookup]
) -> dict[str, float]:
    """The p99 in ms of each declared lookup over sampled keys, with the planner settings of the service.

    PublishError, with the plan and the remedy, if a lookup cannot be served."""
    if not lookups:
        return {}
    for lookup in lookups:
        _check_unique(connection, physical, lookup)
    with connection.transaction():
        for name, value in SESSION.items():
            connection.execute("SELECT set_config(%s, %s, true)", (name, value))
        return {lookup.name: _check_lookup(connection, physical, lookup) for lookup in lookups}


def _check_lookup(connection: psycopg.Connection, physical: PhysicalTable, lookup: Lookup) -> float:
    keys = [
        key
        for name, rows in physical.tables.items()
        for key in sampled_keys(connection, sql.Identifier("replicated", name), lookup, rows)
    ]
    if not keys:
        return 0.0
    rows = max(physical.tables.values())
    with prepared_lookup(connection, physical.identifier, lookup) as prepared:
        plan = _plan(connection, prepared, keys[len(keys) // 2])
        large = {name for name, held in physical.tables.items() if held > TINY_ROWS}
        if large and _reads_whole_table(plan, large):
            raise _without_index(physical, lookup, rows, plan)
        p99 = p99_ms(connection, prepared, keys, lookup.budget_ms)
    if p99 > lookup.budget_ms:
        raise PublishError(
            f"lookup {lookup.name!r} of table {physical.table!r}",
            expected=f"at most {lookup.budget_ms} ms",
            found=f"p99 of {p99:.1f} ms over {len(keys)} sampled keys; the plan is {' > '.join(_steps(plan))}",
            todo="Look up fewer rows or columns, prejoin them in the warehouse, or raise budget_ms. "
            f"An index that serves it begins with {', '.join(index_columns(lookup))}. Nothing was changed.",
        )
    return p99


def _check_unique(connection: psycopg.Connection, physical: PhysicalTable, lookup: Lookup) -> None:
    columns = index_columns(lookup)
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


def _plan(connection: psycopg.Connection, prepared: str, key: Key) -> dict[str, Any]:
    statement = sql.SQL("EXPLAIN (FORMAT json) EXECUTE {} ({})").format(
        sql.Identifier(prepared), sql.SQL(", ").join(map(sql.Literal, key))
    )
    explained = connection.execute(statement).fetchone()
    if explained is None:
        raise psycopg.DataError("EXPLAIN returned no plan")
    plan: dict[str, Any] = explained[0][0]["Plan"]
    return plan


def _reads_whole_table(plan: dict[str, Any], large: Set[str]) -> bool:
    own = plan.get("Node Type") == "Seq Scan" and plan.get("Relation Name") in large
    unbound = "Index" in plan.get("Node Type", "") and not plan.get("Index Cond") and "Plans" not in plan
    return own or unbound or any(_reads_whole_table(child, large) for child in plan.get("Plans", ()))


def _without_index(physical: PhysicalTable, lookup: Lookup, rows: int, plan: dict[str, Any]) -> PublishError:
    columns = ", ".join(map(quoted, index_columns(lookup)))
    return PublishError(
        f"lookup {lookup.name!r} of table {physical.table!r}",
        expected="a plan that uses an index",
        found=f"a scan of all {rows} rows; the plan is {' > '.join(_steps(plan))}",
        todo=f"Declare indexes=[({columns},)] on the replicated table, "
        f"that is CREATE INDEX ON replicated.{quoted(physical.table)} ({columns}). Nothing was changed.",
    )


def _steps(plan: dict[str, Any]) -> list[str]:
    where = plan.get("Index Name") or plan.get("Relation Name")
    condition = plan.get("Index Cond") or plan.get("Filter")
    step = f"{plan['Node Type']}{f' on {where}' if where else ''}{f' {condition}' if condition else ''}"
    step += f" (cost {plan['Total Cost']}, rows {plan['Plan Rows']})"
    return [step, *(inner for child in plan.get("Plans", ()) for inner in _steps(child))]
