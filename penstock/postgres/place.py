"""Where a book lives: the database behind its URL, and whether a book can live there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psycopg

from penstock.errors import demand_none
from penstock.postgres.clock import seconds_ahead
from penstock.postgres.migrations import BookError
from penstock.postgres.roles import MIGRATE, READER, READERS, REPLICATED_READER
from penstock.settings import BookName

OLDEST_SERVER = 14
ENCODING = "UTF8"
MOST_CLOCK_SECONDS = 60.0
"""From here on nothing starts. `penstock doctor` says it from 2 s on."""

_PLACE = """SELECT pg_postmaster_start_time()::text, oid::bigint, datname::text
    FROM pg_database WHERE datname = current_database()"""
_SERVER = """SELECT current_setting('server_version_num')::int / 10000, current_setting('server_encoding'),
    pg_is_in_recovery(), current_setting('transaction_read_only') = 'on' AND NOT coalesce((
        SELECT every(rolname = ANY(%s)) FROM pg_roles WHERE rolname = ANY(%s) AND pg_has_role(oid, 'MEMBER')), false)"""
"""Sessions that are only read are as they should be where the login is a member of reading roles alone."""


@dataclass(frozen=True)
class Place:
    """A database of a running server.

    `started` is when that server started, to the microsecond. A physical copy of a server has the identifier of the
    original, but it was started at another instant.
    """

    started: str
    oid: int
    database: str


def place_of(connection: psycopg.Connection) -> Place:
    """The database that `connection` is connected to, by whatever host, user or pooler."""
    row = connection.execute(_PLACE).fetchone()
    assert row is not None
    return Place(*row)


def demand_apart(places: Mapping[BookName, Place]) -> None:
    """BookError where TEST and PROD are one database."""
    if len(places) > len(set(places.values())):
        raise BookError(
            "PENSTOCK_TEST_URL and PENSTOCK_PROD_URL",
            expected="two databases, so that PROD gets only what was verified in TEST",
            found=f"one for both, {places['prod'].database!r}",
            todo="Make another one and name it in one of them.",
        )


def demand_usable(book: str, connection: psycopg.Connection) -> None:
    """BookError with a sentence for each thing that keeps a book from living where `connection`, which is in
    autocommit, is connected to. `book` is what messages call the book."""
    demand_none(list(_unusable(book, connection)))


def _unusable(book: str, connection: psycopg.Connection) -> Iterator[BookError]:
    row = connection.execute(_SERVER, ([READER, REPLICATED_READER], [MIGRATE, *READERS])).fetchone()
    assert row is not None
    version, encoding, is_standby, is_read_only = row
    database = connection.info.dbname
    if version < OLDEST_SERVER:
        expected, todo = f"Postgres {OLDEST_SERVER} or newer", "Upgrade the server, or name another one."
        yield BookError(book, expected=expected, found=f"Postgres {version}", todo=todo)
    if encoding != ENCODING:
        yield BookError(
            book,
            expected=f"a database of encoding {ENCODING}",
            found=f"{encoding} in {database!r}",
            todo=f"Make another one: CREATE DATABASE … ENCODING '{ENCODING}' TEMPLATE template0",
        )
    if is_standby:
        yield BookError(
            book,
            expected="a server that can be written",
            found="a standby, which is only read",
            todo="Name the primary; of several hosts in the URL, target_session_attrs=read-write finds it.",
        )
    elif is_read_only:
        yield BookError(
            book,
            expected="a server that can be written",
            found=f"sessions of {connection.info.user!r} in {database!r} that are only read",
            todo="Look whether the server's disk is full, and at default_transaction_read_only of role and database.",
        )
    off = seconds_ahead(connection)
    if abs(off) > MOST_CLOCK_SECONDS:
        yield BookError(
            f"clock of the server of {book}",
            expected=f"that of this machine to {MOST_CLOCK_SECONDS:.0f} s",
            found=f"{abs(off):,.0f} s {'ahead' if off > 0 else 'behind'}",
            todo="Let both machines follow NTP.",
        )
