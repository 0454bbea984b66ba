"""While Postgres is away the service says so within a second, and recovers by itself."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from penstock.journal import writing
from penstock.lookups.connection import SECONDS
from penstock.postgres import roles
from penstock.postgres.book import Book
from penstock.postgres.server import DEFAULTS, PostgresServer
from penstock.testing import as_member
from tests.engine.serving import toy
from tests.engine.serving.conftest import Service, Start, wait_for


@pytest.fixture
def server(slow: None, tmp_path: Path) -> Iterator[PostgresServer]:
    """A server of its own, to be stopped."""
    made = PostgresServer(tmp_path / "own" / "data", tmp_path / "own" / "log", {**DEFAULTS, "fsync": "off"})
    made.start()
    yield made
    made.remove()


@pytest.fixture
def book(server: PostgresServer) -> Book:
    made = Book("test", server.url("postgres"))
    made.migrate()
    return made


def test_a_stopped_postgres_is_503_within_a_second_and_answers_come_back_in_seconds(
    service: Service, server: PostgresServer
) -> None:
    before = service.ask().json()
    server.stop()
    try:
        seconds = []
        for n in range(10):
            began = time.perf_counter()
            answer = service.ask(inflow=n)
            seconds.append(time.perf_counter() - began)
            assert answer.status_code == 503
            assert answer.headers["retry-after"]
            assert answer.headers["content-type"] == "application/problem+json"
        assert median(seconds) < 1.0
        assert wait_for(lambda: service.http.get("/readyz").status_code == 503)
    finally:
        server.start()
    began = time.perf_counter()
    wait_for(lambda: service.ask().status_code == 200)
    assert time.perf_counter() - began < 4.0
    assert service.ask().json() == before | {"unchanged": True}
    server.stop()


def test_a_service_that_starts_before_postgres_becomes_ready_by_itself(
    start: Start, server: PostgresServer, book: Book, tmp_path: Path
) -> None:
    toy.publish_all(book)
    toy.release(book, str(tmp_path / "home" / "artifacts"), tmp_path)
    url = as_member(book, roles.SERVICE).url
    server.stop()
    service = start(url=url)
    assert service.ask().status_code == 503
    server.start()
    assert wait_for(lambda: service.ask().status_code == 200)
    server.stop()


def test_a_replica_that_stood_still_itself_answers_what_postgres_has_answered_meanwhile(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert wait_for(lambda: service.ask().status_code == 200)
    still = [0.0, 1.5 * SECONDS]
    write = writing.write

    async def write_and_stand_still(*values: Any) -> Any:
        sent = asyncio.create_task(write(*values))
        while not sent.done() and still:
            await asyncio.sleep(0)
            time.sleep(still.pop(0))
        return await sent

    monkeypatch.setattr(writing, "write", write_and_stand_still)
    answer = service.ask(inflow=41.0)
    assert not still
    assert (answer.status_code, answer.json().get("unchanged")) == (200, False), answer.text
