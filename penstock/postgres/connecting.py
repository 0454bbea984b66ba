"""A connection of psycopg to a book: its own session, and one sentence where there is none."""

from contextlib import suppress

import psycopg
from psycopg.conninfo import make_conninfo

from penstock.postgres.migrations import BookError
from penstock.postgres.pooling import demand_own_session
from penstock.postgres_url import shown_hosts

CONNECT_SECONDS = 10
"""For each host of the URL, where it does not say another `connect_timeout`."""


class BookUnreachable(BookError, psycopg.OperationalError):
    """The Postgres of a book cannot be reached: absent, refusing, or not the one that its certificate should name."""


def connect(thing: str, url: str, *, autocommit: bool, application_name: str) -> psycopg.Connection:
    """A new connection to `thing`, as messages call it. BookUnreachable where there is none; BookError where a pooler
    shares its session with others."""
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
    return BookUnreachable(
        thing,
        expected=f"a Postgres at {shown_hosts(url)}",
        found=said[0].removeprefix("connection failed: "),
        todo="Look whether it runs, and whether host, port, user, password and certificates of the URL are right.",
    )
