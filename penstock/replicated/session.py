"""The connection of one publisher to one book. It holds the lock of its table, and its death is noticed soon."""

import contextlib
from collections.abc import Callable, Iterator

import psycopg

from penstock.postgres.book import Book
from penstock.replicated.error import PublishError

PATIENCE_SECONDS = 3600
_SETTINGS = {
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "maintenance_work_mem": "256MB",
    "client_min_messages": "warning",
    "client_encoding": "UTF8",
    # The switch commits synchronously, and with it everything before it.
    "synchronous_commit": "off",
}


@contextlib.contextmanager
def publishing_session(
    book: Book, table: str, waiting: Callable[[], None], patience: int = PATIENCE_SECONDS
) -> Iterator[psycopg.Connection]:
    """An autocommit connection that holds the book's publish lock of `table` to the end of the block, or until it dies.

    `waiting` is called if another publisher holds the lock; PublishError after `patience` seconds.
    """
    with book.connect(autocommit=True) as connection:
        connection.execute(
            "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS setting (name, value)",
            (list(_SETTINGS), list(_SETTINGS.values())),
        )
        if not _taken(connection, table):
            waiting()
            _wait_for_lock(connection, book, table, patience)
        try:
            yield connection
        finally:
            _unlock(connection, table)


@contextlib.contextmanager
def publish_lock(connection: psycopg.Connection, table: str) -> Iterator[bool]:
    """Take the publish lock of `table` if it is free, to the end of the block. Yields whether it was taken."""
    taken = _taken(connection, table)
    try:
        yield taken
    finally:
        if taken:
            _unlock(connection, table)


def _taken(connection: psycopg.Connection, table: str) -> bool:
    row = connection.execute(
        "SELECT pg_try_advisory_lock(hashtextextended('penstock.publish ' || %s, 0))", (table,)
    ).fetchone()
    return row == (True,)


def _unlock(connection: psycopg.Connection, table: str) -> None:
    """Release the lock now: the server notices a closed connection a moment later, and whoever comes next would still
    find the lock held. A connection that is in the middle of something is about to be closed."""
    if not connection.closed and connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
        connection.execute("SELECT pg_advisory_unlock(hashtextextended('penstock.publish ' || %s, 0))", (table,))


def _wait_for_lock(connection: psycopg.Connection, book: Book, table: str, patience: int) -> None:
    try:
        connection.execute("SELECT set_config('lock_timeout', %s, false)", (f"{patience}s",))
        connection.execute("SELECT pg_advisory_lock(hashtextextended('penstock.publish ' || %s, 0))", (table,))
        connection.execute("SET lock_timeout = 0")
    except psycopg.errors.LockNotAvailable:
        raise PublishError(
            f"publish of {table!r} to book {book.name!r}",
            expected=f"the other publisher of this table to end within {patience} s",
            found="it still runs",
            todo="Look at the other run; nothing was changed.",
        ) from None
