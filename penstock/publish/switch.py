"""The switch: one transaction in which loaded physical tables become current, while no reader waits long."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from penstock.postgres.pointer import pointer
from penstock.replicated.error import PublishError
from penstock.replicated.physical_table import PhysicalTable
from penstock.replicated.view import replace_view
from penstock.snapshots.store import Snapshot

_LOCK_WAIT_MS = 100
"""Readers that arrive while the switch waits for a lock wait behind it, for no longer than this."""
_PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class Switch:
    """One table that is to become current, its snapshot, and its size in the book."""

    physical: PhysicalTable
    snapshot: Snapshot
    bytes: int


def switch(
    connection: psycopg.Connection, switches: Sequence[Switch], *, who: str, patience: float = _PATIENCE_SECONDS
) -> None:
    """Make all tables current in one transaction; PublishError if readers hold a view longer than `patience` seconds.

    A view cannot be replaced while a statement reads it. Each attempt ends after a tenth of a second, so that readers
    never queue behind it for longer, and is repeated until `patience` is over.
    """
    until = time.monotonic() + patience
    pause = 0.02
    while True:
        try:
            with connection.transaction():
                connection.execute(f"SET LOCAL lock_timeout = {_LOCK_WAIT_MS}")
                connection.execute("SET LOCAL synchronous_commit = on")
                for one in switches:
                    _move(connection, one, who)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            if time.monotonic() > until:
                raise PublishError(
                    f"switch of {', '.join(one.physical.table for one in switches)}",
                    expected=f"a moment without a reader of the view within {patience:.0f} s",
                    found=_readers(connection, switches),
                    todo="End the long statement and publish again; the table was not changed.",
                ) from None
            time.sleep(pause)
            pause = min(pause * 1.5, 1.0)
        else:
            return


def _move(connection: psycopg.Connection, one: Switch, who: str) -> None:
    table, snapshot = one.physical.table, one.snapshot
    replace_view(connection, one.physical)
    before = pointer(connection, table)
    connection.execute(
        """INSERT INTO replicated.current (table_name, snapshot, physical, rows, bytes, as_of)
           VALUES (%s, %s, %s, %s, %s, %s)
           ON CONFLICT (table_name) DO UPDATE SET snapshot = excluded.snapshot, physical = excluded.physical,
               rows = excluded.rows, bytes = excluded.bytes, as_of = excluded.as_of,
               published_at = clock_timestamp()""",
        (table, snapshot.id, one.physical.name, snapshot.rows, one.bytes, snapshot.as_of),
    )
    connection.execute(
        """INSERT INTO replicated.publication (table_name, snapshot, physical, rows, bytes, as_of, who, replaced)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s)""",
        (
            table,
            snapshot.id,
            one.physical.name,
            snapshot.rows,
            one.bytes,
            snapshot.as_of,
            who,
            before.physical if before else None,
        ),
    )
    connection.execute("SELECT pg_notify('penstock', %s)", (f"publish {table} {snapshot.id}",))


def _readers(connection: psycopg.Connection, switches: Sequence[Switch]) -> str:
    rows = connection.execute(
        """SELECT DISTINCT a.pid, coalesce(nullif(a.application_name, ''), 'unnamed'), left(a.query, 80)
           FROM pg_locks l JOIN pg_stat_activity a USING (pid) JOIN pg_class c ON c.oid = l.relation
           WHERE c.relnamespace = 'replicated'::regnamespace AND c.relname = ANY(%s) AND l.granted
               AND l.pid <> pg_backend_pid()""",
        ([one.physical.table for one in switches],),
    ).fetchall()
    return "; ".join(f"process {pid} ({name}): {query}" for pid, name, query in rows) or "none that is visible"
