"""The publish lock of a table: free for the next one as soon as its holder is done, and not when the server notices."""

import psycopg
import pytest

from penstock.postgres.book import Book
from penstock.replicated.session import publish_lock, publishing_session


def test_the_end_of_a_block_frees_the_lock_while_its_connection_is_still_open(book: Book) -> None:
    with book.connect(autocommit=True) as first, book.connect(autocommit=True) as second:
        with publish_lock(first, "numbers") as taken, publish_lock(second, "numbers") as again:
            assert (taken, again) == (True, False)
        with publish_lock(second, "numbers") as taken:
            assert taken


def test_a_publisher_that_is_done_keeps_nobody_waiting(book: Book) -> None:
    waited: list[int] = []
    for number in range(50):
        with publishing_session(book, "numbers", lambda number=number: waited.append(number)):  # type: ignore[misc]
            pass
    assert waited == []


def test_a_publisher_in_the_middle_of_a_transaction_ends_with_its_own_fault(book: Book) -> None:
    with pytest.raises(ZeroDivisionError) as fault, publishing_session(book, "numbers", lambda: None) as connection:
        _fail_in_a_transaction(connection)
    assert fault.value.__context__ is None


def _fail_in_a_transaction(connection: psycopg.Connection) -> None:
    connection.execute("BEGIN")
    raise ZeroDivisionError
