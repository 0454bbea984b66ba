"""Whether a pooler shares a client's session with others: what holds a lock or a setting in its session needs its own.

A pooler tells a client another process number than the server does. From one that pools whole sessions, a client keeps
the server's process as long as it is connected; from one that pools transactions, others get it in between.
"""

import os
import socket
import threading

import psycopg

from penstock.postgres.own_session import PROBE_SECONDS, TRIES, pooled


def demand_own_session(book: str, connection: psycopg.Connection, url: str) -> None:
    """BookError where a pooler shares the session of `connection`, which is in autocommit, with others.

    One query where there is no pooler.
    """
    try:
        own = _server_process(connection)
        if own == connection.info.backend_pid:
            return
        shared = _shared(connection, own, url)
    except (psycopg.errors.ProtocolViolation, psycopg.errors.FeatureNotSupported) as error:
        raise pooled(book) from error  # PgBouncer refuses a transaction where it pools statements
    if shared:
        raise pooled(book)


def _shared(connection: psycopg.Connection, own: int, url: str) -> bool:
    given_up = threading.Event()

    def give_up() -> None:
        given_up.set()
        with socket.socket(fileno=os.dup(other.fileno())) as waiting:
            waiting.shutdown(socket.SHUT_RDWR)

    with psycopg.connect(url, autocommit=True, application_name="penstock, looking for a pooler") as other:
        patience = threading.Timer(PROBE_SECONDS, give_up)
        patience.start()
        try:
            for _ in range(TRIES):
                with other.transaction():
                    if _process(other) == own or _server_process(connection) != own:
                        return True
        except psycopg.OperationalError:
            if not given_up.is_set():
                raise
        finally:
            patience.cancel()
    return False


def _server_process(connection: psycopg.Connection) -> int:
    """The server's number of the process that answers, asked in a transaction, which keeps it."""
    with connection.transaction():
        return _process(connection)


def _process(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return int(row[0]) if row else 0
