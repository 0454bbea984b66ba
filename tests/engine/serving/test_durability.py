"""An answer that was given is in the journal, whatever is killed right after it."""

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from benchmarks.service.clients import Clients, lost
from penstock.postgres.book import Book
from penstock.postgres.server import PostgresServer
from penstock.processes import free_port
from penstock.settings import Settings
from tests.checkout import ROOT
from tests.engine.serving import toy
from tests.engine.serving.conftest import wait_for

ANSWERS = 600
KILLS = 6


class Replicas:
    """Two replicas, each started again once it was killed."""

    def __init__(self, url: str, home: Path) -> None:
        self._url, self._home = url, home
        self._running = {port: self._start(port) for port in (free_port(), free_port())}
        self._next = itertools.cycle(self._running)

    def port(self) -> int:
        return next(self._next)

    def kill(self, moments: random.Random) -> None:
        port = moments.choice(list(self._running))
        self._running[port].kill()
        self._running[port].wait()
        self._running[port] = self._start(port)

    def stop(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()

    def _start(self, port: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.engine.serving.toy_replica", str(port), self._url, str(self._home)]
        return subprocess.Popen(command, cwd=ROOT)


@pytest.fixture
def server(slow: None, tmp_path: Path) -> Iterator[PostgresServer]:
    """A server that syncs its log, as the shipped one does."""
    made = PostgresServer(tmp_path / "pg" / "data", tmp_path / "pg" / "log")
    made.start()
    yield made
    made.stop()


def kill_backend(postmaster: psutil.Process) -> None:
    """Kill a process that holds a connection: all others restart, and what was committed is recovered."""
    for process in postmaster.children():
        with suppress(psutil.NoSuchProcess):
            if "[local]" in " ".join(process.cmdline()):
                process.kill()
                return


def question(client: int, n: int) -> bytes:
    return b'{"tank":"t%d","valve":%d,"inflow":%d,"asked_at":"2026-01-01T05:00:%02d.%06dZ"}' % (
        n % 40,
        client,
        n % 1000,
        n // 1_000_000,
        n % 1_000_000,
    )


def test_every_answer_outlives_kills_of_replicas_and_of_postgres(server: PostgresServer, tmp_path: Path) -> None:
    book = Book("test", server.url("postgres"))
    book.migrate()
    settings = Settings(home=tmp_path / "home")
    toy.publish_all(book)
    toy.release(book, settings.artifacts, tmp_path)
    replicas = Replicas(book.url, settings.home)
    moments, began = random.Random(1), datetime.now(UTC)
    try:
        clients = Clients(replicas.port, "/models/overflow/predict", question, count=6, patient=True)
        with clients as asking:
            wait_for(lambda: len(asking.answers.given) > 100, 60)
            for number in range(KILLS):
                time.sleep(moments.uniform(0.2, 1.0))
                pid = server.pid()
                assert pid is not None
                if number % 3 == 0:
                    replicas.kill(moments)
                elif number % 3 == 1:
                    kill_backend(psutil.Process(pid))
                else:
                    killed = psutil.Process(pid)
                    os.kill(pid, signal.SIGKILL)
                    psutil.wait_procs([killed], timeout=10)
                    server.start()
            before = len(asking.answers.given)
            wait_for(lambda: len(asking.answers.given) > max(ANSWERS, before + 200), 90)
    finally:
        replicas.stop()
    found = lost(book, asking.answers.given, since=began)
    assert found["answers"] >= ANSWERS
    assert found == {"answers": found["answers"], "lost": 0, "journaled otherwise": 0, "duplicates": 0}
    assert set(asking.answers.troubles) <= ALLOWED, asking.answers.troubles


ALLOWED = {
    "503 book-away",
    "503 not-ready",
    "503 book-refuses",
    "RemoteDisconnected",
    "ConnectionResetError",
    "ConnectionRefusedError",
    "BrokenPipeError",
    "IncompleteRead",
}
"""What a client may see of a kill; never a 500."""
