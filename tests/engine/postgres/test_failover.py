"""A new primary: answers go on within seconds of it, and none that was given is lost."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from penstock.postgres.book import Book
from penstock.postgres_url import libpq_url
from tests.engine.postgres.standby import freeze, primary_and_standby, thaw
from tests.engine.postgres.tcp_server import QUOTED, TcpServer
from tests.engine.serving import toy
from tests.engine.serving.conftest import Service, Start, wait_for

SECONDS = 5.0


@pytest.fixture
def servers(slow: None) -> Iterator[tuple[TcpServer, TcpServer]]:
    with primary_and_standby() as servers:
        yield servers


class Answers:
    """Asks all the time; keeps the id of every answer, and when the last one came."""

    def __init__(self, service: Service) -> None:
        self.ids: list[str] = []
        self.refused: set[int] = set()
        self.last = 0.0
        self._service, self._ended = service, threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        n = 0
        while not self._ended.is_set():
            n += 1
            answer = self._service.ask(tank=f"t{n}", inflow=float(n % 900))
            if answer.status_code == 200:
                self.ids.append(answer.json()["id"])
                self.last = time.monotonic()
            else:
                self.refused.add(answer.status_code)

    def end(self) -> None:
        self._ended.set()
        self._thread.join()


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_answers_go_on_on_the_promoted_standby_and_every_answer_is_in_its_journal(
    servers: tuple[TcpServer, TcpServer], start: Start, tmp_path: Path, how: str
) -> None:
    primary, standby = servers
    url = libpq_url(
        "PENSTOCK_PROD_URL",
        f"postgres://postgres:{QUOTED}@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/postgres"
        "?target_session_attrs=read-write",
    )
    book = Book("test", url)
    book.migrate()
    toy.publish_all(book)
    toy.release(book, str(tmp_path / "home" / "artifacts"), tmp_path)
    service = start(url=url)
    answers = Answers(service)
    try:
        wait_for(lambda: len(answers.ids) > 20, 20)
        if how == "killed":
            primary.kill()
        else:
            freeze(primary)
        standby.promote()
        promoted, before = time.monotonic(), len(answers.ids)
        wait_for(lambda: len(answers.ids) > before + 20, 20)
        first = promoted + SECONDS
        wait_for(lambda: service.http.get("/readyz").status_code == 200, 20)
        assert time.monotonic() < first, "answering, and watching its pointers"
    finally:
        answers.end()
        thaw(primary)
    assert answers.refused <= {503}
    with psycopg.connect(standby.url()) as connection:
        kept = {str(id_) for (id_,) in connection.execute("SELECT id::text FROM app.prediction")}
    assert len(answers.ids) > 40
    assert set(answers.ids) <= kept
