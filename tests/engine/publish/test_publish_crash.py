"""Killed with Postgres itself: the server recovers, the current table is whole, the next publish succeeds."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from penstock.postgres.book import Book
from penstock.postgres.server import DEFAULTS, PostgresServer
from penstock.publish.publish import publish
from penstock.snapshots.store import SnapshotStore
from penstock.verify.verify import verify
from tests.engine.publishing import declared, numbered, relations, rows_of, write


@pytest.fixture
def own_book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Book]:
    """A book in a server of its own: when one backend is killed, the server ends all others too."""
    folder = tmp_path_factory.mktemp("own")
    server = PostgresServer(folder / "data", folder / "log", {**DEFAULTS, "fsync": "off"})
    server.start()
    try:
        book = Book("test", server.url("postgres"))
        book.migrate()
        yield book
    finally:
        server.stop()


def wait_until_it_answers(book: Book) -> None:
    for _ in range(200):
        try:
            with book.connect() as connection:
                connection.execute("SELECT 1")
                return
        except psycopg.OperationalError:
            time.sleep(0.05)
    raise AssertionError("the server did not come back")


def test_a_backend_killed_while_loading(own_book: Book, tmp_path: Path) -> None:
    store = SnapshotStore(str(tmp_path))
    before, after = write(store, numbered(10)), write(store, numbered(20_000))
    publish(before, declared(), [own_book], who="me")
    killed: list[int] = []

    def kill(stage: str, done: int, of: int) -> None:
        if stage != "loading" or killed:
            return
        with own_book.connect(autocommit=True) as connection:
            query = "SELECT pid FROM pg_stat_progress_copy"
            while (row := connection.execute(query).fetchone()) is None:
                time.sleep(0.005)
        os.kill(row[0], signal.SIGKILL)
        killed.append(row[0])

    with pytest.raises(psycopg.OperationalError):
        publish(after, declared(), [own_book], who="me", progress=kill)
    assert killed
    wait_until_it_answers(own_book)
    (found,) = verify([own_book], store)
    assert (found.equal, found.snapshot) == (True, before.id)

    publish(after, declared(), [own_book], who="me")
    assert len(rows_of(own_book, "numbers")) == 20_000
    assert relations(own_book) == {f"numbers_{one.id[:12]}" for one in (before, after)}
