"""The physical tables that a book can drop: those of dead publishers, and those that are superseded for long enough."""

from collections.abc import Sequence
from datetime import timedelta

import psycopg
from psycopg import sql

KEEP = 2
GRACE = timedelta(seconds=60)
"""A table stays this long after its pointer moved, for readers that have read the pointer before."""
_LOCK_WAIT_MS = 200


def abandoned(connection: psycopg.Connection, table: str) -> list[str]:
    """The physical tables of `table` that never became current.

    The caller holds the publish lock of the table, so no live publisher loads one of them."""
    return _names(
        connection.execute(
            """SELECT p.physical FROM replicated.physical_table p
               WHERE p.table_name = %s
                 AND NOT EXISTS (SELECT FROM replicated.publication l WHERE l.physical = p.physical
                                 AND l.table_name = p.table_name AND l.at >= p.created_at)
                 AND NOT EXISTS (SELECT FROM replicated.current c WHERE c.physical = p.physical)""",
            (table,),
        ).fetchall()
    )


def superseded(connection: psycopg.Connection, table: str, *, keep: int = KEEP, grace: timedelta = GRACE) -> list[str]:
    """The physical tables of `table` that are not among the newest `keep`, were not current within `grace`, and are not
    the base of another one."""
    return _names(
        connection.execute(
            """WITH made AS (
                   SELECT p.physical, max(l.entry) AS entry
                   FROM replicated.physical_table p JOIN replicated.publication l USING (table_name, physical)
                   WHERE p.table_name = %(table)s GROUP BY p.physical)
               SELECT old.physical
               FROM (SELECT physical, entry, row_number() OVER (ORDER BY entry DESC) AS place FROM made) AS old
               WHERE old.place > %(keep)s
                 AND NOT EXISTS (SELECT FROM replicated.physical_table upper WHERE upper.base = old.physical)
                 AND NOT EXISTS (SELECT FROM replicated.current c WHERE c.physical = old.physical)
                 AND NOT EXISTS (SELECT FROM replicated.publication l
                                 WHERE l.table_name = %(table)s AND l.replaced = old.physical
                                   AND l.at > clock_timestamp() - %(grace)s)
               ORDER BY old.entry""",
            {"table": table, "keep": keep, "grace": grace},
        ).fetchall()
    )


def drop_tables(connection: psycopg.Connection, names: Sequence[str]) -> list[str]:
    """Drop physical tables, and return the names of those that were dropped.

    - A table stays, for the next time, if a reader or a view of a user needs it.
    - A table of another owner stays too; `penstock doctor` names it.
    - `connection` is in autocommit.
    """
    if not names:
        return []
    dropped = []
    connection.execute("SELECT set_config('lock_timeout', %s, false)", (f"{_LOCK_WAIT_MS}ms",))
    try:
        for name in names:
            try:
                _drop(connection, name)
            except (
                psycopg.errors.LockNotAvailable,
                psycopg.errors.DependentObjectsStillExist,
                psycopg.errors.InsufficientPrivilege,
            ):
                continue
            dropped.append(name)
    finally:
        connection.execute("SET lock_timeout = 0")
    return dropped


def _drop(connection: psycopg.Connection, name: str) -> None:
    """Drop a physical table (a layered one: its view and its delta) and its record, in one transaction."""
    with connection.transaction():
        row = connection.execute(
            "DELETE FROM replicated.physical_table WHERE physical = %s RETURNING delta", (name,)
        ).fetchone()
        delta = row[0] if row else None
        if delta is not None:
            connection.execute(sql.SQL("DROP VIEW IF EXISTS {}").format(sql.Identifier("replicated", name)))
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier("replicated", delta or name)))


def _names(rows: Sequence[tuple[str, ...]]) -> list[str]:
    return [name for (name,) in rows]
