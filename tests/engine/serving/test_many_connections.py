"""Connections that only wait: bounded memory, and everybody else is answered."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import httpx
import psutil
import pytest

from penstock.processes import free_port
from tests.checkout import ROOT
from tests.engine.serving.conftest import SPARE_FILES, Service, wait_for

MOST_BYTES_EACH = 30_000
QUESTION = {"tank": "t7", "valve": 3, "inflow": 40.0, "asked_at": "2026-01-01T05:30:00Z"}
UNFINISHED = b"POST /models/overflow/predict HTTP/1.1\r\nhost: x\r\ncontent-length: 900\r\n\r\n{"


@pytest.fixture
def replica(shared: Service, many: int) -> Iterator[tuple[int, psutil.Process]]:
    """A replica as a process of its own: its port, and itself."""
    port = free_port()
    program = "tests.engine.serving.toy_replica"
    process = subprocess.Popen(
        [sys.executable, "-m", program, str(port), shared.book.url, str(shared.settings.home)],
        cwd=ROOT,
    )
    try:
        wait_for(lambda: answers(port), 30)
        yield port, psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    with suppress(httpx.TransportError):
        return httpx.post(f"http://127.0.0.1:{port}/models/overflow/predict", json=QUESTION).status_code == 200
    return False


@pytest.mark.slow
def test_ten_thousand_idle_and_unfinished_connections_cost_little_and_stop_nobody(
    replica: tuple[int, psutil.Process], many: int
) -> None:
    port, process = replica
    before = process.memory_info().rss
    with ExitStack() as held:
        for number in range(many):
            connection = held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            if number % 2:
                connection.sendall(UNFINISHED)
        wait_for(lambda: process.num_fds() > many, 60)
        assert answers(port)
        assert process.memory_info().rss - before < many * MOST_BYTES_EACH
    wait_for(lambda: process.num_fds() < SPARE_FILES, 60)
    assert answers(port)
