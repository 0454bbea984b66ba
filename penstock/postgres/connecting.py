"""A connection of psycopg to a book: its own session, and one sentence where there is none."""

import psycopg

from penstock.postgres.migrations import BookError
from penstock.postgres.pooling import demand_own_session
from penstock.postgres_url import shown_hosts


class BookUnreachable(BookError, psycopg.OperationalError):
    """The Postgres of a book cannot be reached: absent, refusing, or not the one that its certificate should name."""


def connect(name: str, url: str, *, autocommit: bool, application_name: str) -> psycopg.Connection:
    """A new connection to the book `name`. BookUnreachable where there is none; BookError where a pooler shares its
    session with others."""
    try:
        connection = psycopg.connect(url, autocommit=True, application_name=application_name)
    except psycopg.OperationalError as error:
        raise unreachable(f"book {name!r}", url, error) from error
    try:
        demand_own_session(f"book {name!r}", connection, url)
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
