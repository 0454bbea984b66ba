"""A code server that lost the process with its code, or its own life, comes back by itself."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import grpc
import psutil
import pytest

from penstock.graph.code_server import PING
from penstock.processes import end_tree, free_port
from penstock.testing import wait_for

DEFINITIONS = """import dagster as dg


@dg.op
def say(): ...


@dg.job
def where():
    say()


defs = dg.Definitions(jobs=[where])
"""
SECONDS = 90
CODE, SERVER = {"api", "grpc"}, {"code-server", "start"}


@pytest.fixture
def place(stack: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where a code server listens that serves one job."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    (tmp_path / "shown.py").write_text(DEFINITIONS)
    port = free_port()
    command = [sys.executable, "-m", "penstock.graph.code_server", "-h", "127.0.0.1", "-p", str(port), "-f", "shown.py"]
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log, start_new_session=True)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        end_tree(psutil.Process(running.pid), grace=5)


def test_it_answers_again_whichever_of_its_processes_is_killed(place: str) -> None:
    wait_for(lambda: answers(place), SECONDS)
    for words in (CODE, SERVER):
        lost = process_with(words)
        assert lost is not None
        lost.kill()
        wait_for(lambda words=words, lost=lost: process_with(words) not in (lost, None), SECONDS)
        wait_for(lambda: answers(place), SECONDS)


def answers(place: str) -> bool:
    with grpc.insecure_channel(place) as channel, suppress(grpc.RpcError):
        channel.unary_unary(PING)(b"", timeout=5)
        return True
    return False


def process_with(words: set[str]) -> psutil.Process | None:
    """The newest process below this one whose command line has these words."""
    found = [process for process in psutil.Process().children(recursive=True) if words <= command_line(process)]
    return max(found, key=psutil.Process.create_time, default=None)


def command_line(process: psutil.Process) -> set[str]:
    """Its words; none where it ended meanwhile."""
    with suppress(psutil.NoSuchProcess):
        return set(process.cmdline())
    return set()
