"""Readers during a publish loop never see an error, an empty or half table, or two snapshots in one statement."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from penstock.postgres.book import Book
from penstock.publish.publish import publish
from penstock.snapshots.store import SnapshotStore
from tests.engine.publishing import declared, numbered, write

ROWS, SWITCHES = 300, 40


@pytest.mark.slow
def test_readers_of_view_and_pointer_always_see_one_whole_snapshot(book: Book, tmp_path: Path) -> None:
    store = SnapshotStore(str(tmp_path / "snapshots"))
    snapshots = [write(store, numbered(ROWS, offset=offset)) for offset in range(5)]
    publish(snapshots[0], declared(), [book], who="me")
    stop = threading.Event()
    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(reads, book, stop) for reads in (view_reader, pointer_reader, repeatable_reader)]
        for switch in range(SWITCHES):
            publish(snapshots[switch % 5], declared(), [book], who="me")
        stop.set()
        seen = [reader.result(timeout=20) for reader in readers]
    assert min(seen) > SWITCHES


def view_reader(book: Book, stop: threading.Event) -> int:
    """A plain reader with the privileges of the role: the whole table, twice, in one statement."""
    return reading(
        book,
        stop,
        lambda connection: connection.execute(
            """SELECT count(*), min(a.value), max(b.value) FROM replicated.numbers a
               JOIN replicated.numbers b USING (key)"""
        ).fetchone(),
    )


def repeatable_reader(book: Book, stop: threading.Event) -> int:
    """A reader whose own transaction began before the switch finds the table whole too."""

    def read(connection: psycopg.Connection) -> tuple[int, int, int] | None:
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            connection.execute("SELECT 1").fetchone()
            return connection.execute("SELECT count(*), min(value), max(value) FROM replicated.numbers").fetchone()

    return reading(book, stop, read)


def pointer_reader(book: Book, stop: threading.Event) -> int:
    """A reader that asks the pointer and then reads the physical table that it names."""

    def read(connection: psycopg.Connection) -> tuple[int, int, int] | None:
        row = connection.execute("SELECT physical FROM replicated.current WHERE table_name = 'numbers'").fetchone()
        assert row is not None
        return connection.execute(f'SELECT count(*), min(value), max(value) FROM replicated."{row[0]}"').fetchone()

    return reading(book, stop, read)


def reading(book: Book, stop: threading.Event, read: Callable[[psycopg.Connection], object]) -> int:
    """How often `read` gave (rows, value, the same value)."""
    times = 0
    with book.connect(autocommit=True) as connection:
        connection.execute("SET ROLE replicated_reader")
        while not stop.is_set():
            rows, lowest, highest = read(connection)
            assert (rows, lowest) == (ROWS, highest)
            times += 1
    return times
