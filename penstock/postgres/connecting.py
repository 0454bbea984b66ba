"""A connection of psycopg to a book: its own session, and one sentence where there is none.

What holds a lock or a setting in its session shares it with nobody. A pooler tells a client another process number than
the server does. From one that pools whole sessions, a client keeps the server's process as long as it is connected;
from one that pools transactions, others get it in between.
"""

import os
import re
import socket
import threading
from contextlib import suppress

import psycopg
from psycopg.conninfo import make_conninfo

from penstock.postgres.migrations import BookError
from penstock.postgres.own_session import PROBE_SECONDS, TRIES, pooled
from penstock.postgres_url import demand_files, shown_hosts

CONNECT_SECONDS = 10
"""For each host of the URL, where it does not say another `connect_timeout`."""


REMEDIES = {
    r"too many (clients|connections)|connection slots": "All its places are taken: end sessions that are idle, raise "
    "max_connections or the CONNECTION LIMIT of role or database, or lower `connections` of serve_config.yaml.",
    r'database ".*" does not exist': "Make it, CREATE DATABASE … ENCODING 'UTF8', or correct its name in the URL.",
    r"password|role .* does not exist": "Correct user and password in the URL; what is special in them is "
    "percent-encoded: %40 for @, %2F for /, %3A for a colon, %23 for #.",
    r"does not support SSL": "Let the server have TLS, or lower sslmode in the URL.",
}
"""What a server says, in English -> what to do; `WHERE` for all else."""
WHERE = "Look whether it runs, and whether host, port, user, password and certificates of the URL are right."


class BookUnreachable(BookError, psycopg.OperationalError):
    """The Postgres of a book cannot be reached: absent, refusing, or not the one that its certificate should name."""


def connect(thing: str, url: str, *, autocommit: bool, application_name: str) -> psycopg.Connection:
    """A new connection to `thing`, as messages call it. BookUnreachable where there is none; BookError where a pooler
    shares its session with others; PenstockError where the URL names a file that cannot be read."""
    demand_files(thing, url)
    try:
        limited = url if "connect_timeout=" in url else make_conninfo(url, connect_timeout=CONNECT_SECONDS)
        connection = psycopg.connect(limited, autocommit=True, application_name=application_name)
    except psycopg.OperationalError as error:
        raise unreachable(thing, url, error) from error
    except psycopg.ProgrammingError as error:  # libpq names the parameter, and no value
        todo = "Correct the parameters after the ? of the URL."
        raise BookUnreachable(thing, expected="a URL that libpq takes", found=str(error).strip(), todo=todo) from None
    try:
        demand_own_session(thing, connection, url)
        # A query whose client is gone ends. Not every server and platform can watch the socket.
        with suppress(psycopg.errors.InvalidParameterValue, psycopg.errors.UndefinedObject):
            connection.execute("SET client_connection_check_interval = '1s'")
        connection.autocommit = autocommit
    except BaseException:
        connection.close()
        raise
    return connection


def unreachable(thing: str, url: str, error: Exception) -> BookUnreachable:
    """What is said where Postgres does not let anybody in; the password is not in it."""
    said = str(error).strip().splitlines() or [type(error).__name__]
    todo = next((todo for pattern, todo in REMEDIES.items() if re.search(pattern, said[0])), WHERE)
    return BookUnreachable(
        thing,
        expected=f"a Postgres at {shown_hosts(url)}",
        found=said[0].removeprefix("connection failed: "),
        todo=todo,
    )


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
