"""Which sessions keep another one waiting, in words."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

_SESSION = """a.pid, coalesce(nullif(a.application_name, ''), a.backend_type, 'unnamed') AS application, a.usename,
    a.state, date_trunc('second', clock_timestamp() - coalesce(a.xact_start, a.backend_start))::text AS since,
    left(regexp_replace(a.query, '\\s+', ' ', 'g'), 80) AS query"""
_BLOCKING = f"SELECT {_SESSION} FROM unnest(pg_blocking_pids(%s)) AS b (pid) JOIN pg_stat_activity a USING (pid)"
_HOLDING = f"""SELECT {_SESSION} FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'advisory' AND l.granted AND l.database = (SELECT oid FROM pg_database
        WHERE datname = current_database()) AND (l.classid::bigint, l.objid::bigint, l.objsubid) = (%s, %s, 2)"""
_POLL_SECONDS = 0.1


def advisory_lock_holder(connection: psycopg.Connection, key: tuple[int, int]) -> str:
    """Who holds the advisory lock of this key of two numbers; empty where nobody does."""
    return _told(connection.execute(_HOLDING, key))


@contextmanager
def blocking_sessions(url: str, pid: int) -> Iterator[Callable[[], str]]:
    """A function that returns who last kept the session `pid` waiting, which only another session can see; empty where
    nobody did."""
    seen, ended = [""], threading.Event()

    def watch() -> None:
        with psycopg.connect(url, autocommit=True, application_name="penstock migrate, watching") as connection:
            while not ended.wait(_POLL_SECONDS):
                seen[0] = _told(connection.execute(_BLOCKING, (pid,))) or seen[0]

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield lambda: seen[0]
    finally:
        ended.set()
        thread.join()


def _told(rows: psycopg.Cursor) -> str:
    return "; ".join(
        f"process {pid} ({application}, user {user}{f', {state} for {since}: {query}' if state else ''})"
        for pid, application, user, state, since, query in rows
    )
