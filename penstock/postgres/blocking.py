"""Which sessions keep another one waiting, in words."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
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
_LASTING_SECONDS = 0.3
_HOLDERS = """SELECT DISTINCT virtualtransaction FROM pg_locks
    WHERE locktype = 'relation' AND granted AND pid <> pg_backend_pid()
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND relation = ANY (SELECT to_regclass(name)::oid FROM unnest(%s::text[]) AS r (name))"""
_SESSIONS_OF = f"""SELECT DISTINCT {_SESSION} FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.virtualtransaction = ANY(%s)"""


def advisory_lock_holder(connection: psycopg.Connection, key: tuple[int, int]) -> str:
    """Who holds the advisory lock of this key of two numbers; empty where nobody does."""
    return _told(connection.execute(_HOLDING, key))


def lasting_holders(connection: psycopg.Connection, relations: Sequence[str]) -> str:
    """Who holds a lock on one of these relations for longer than a short transaction does; empty where nobody does.

    Waits for none of them. `connection` is in autocommit."""
    names = list(relations)
    before = {name for (name,) in connection.execute(_HOLDERS, (names,))}
    if not before:
        return ""
    time.sleep(_LASTING_SECONDS)
    lasting = sorted(before & {name for (name,) in connection.execute(_HOLDERS, (names,))})
    return _told(connection.execute(_SESSIONS_OF, (lasting,))) or "a prepared transaction" if lasting else ""


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
