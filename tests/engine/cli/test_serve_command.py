"""`penstock serve`: in the foreground, with logs on standard output, and nothing left of it after TERM."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from penstock.cli.commands.serve import Logs
from penstock.postgres.book import Book
from penstock.processes import free_port
from penstock.serving.on_ray.cluster import RayCluster
from penstock.settings import Settings
from tests.checkout import ROOT

SECONDS = 120


def test_it_serves_until_term_and_leaves_nothing(
    stack: None, prod_book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("PENSTOCK_", "RAY_"))}
    port = free_port()
    environment = kept | {
        "PENSTOCK_HOME": str(tmp_path / "home"),
        "PENSTOCK_HTTP_PORT": str(port),
        **{f"PENSTOCK_{name}_URL": prod_book.url for name in ("TEST", "PROD", "DAGSTER")},
    }
    log = tmp_path / "out"
    with log.open("wb") as out:
        running = subprocess.Popen(
            [sys.executable, "-m", "penstock", "serve"], cwd=ROOT, env=environment, stdout=out, stderr=out
        )
    try:
        wait(lambda: "Serving at" in log.read_text() or running.poll() is not None, log)
        assert running.poll() is None, log.read_text()
        assert httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
        # Without a release it says why it is not ready, on standard output.
        wait(lambda: " | " in log.read_text(), log)
        parts = RayCluster(Settings(home=tmp_path / "home", http_port=port)).find()
        assert parts is not None
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 0
        assert log.read_text().endswith("Stopped.\n")
        assert [part.process() for part in parts.parts] == [None, None]
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{port}/healthz")
    finally:
        if running.poll() is None:
            running.terminate()
            running.wait(60)


@pytest.mark.slow
def test_the_dev_book_is_served_without_ray_and_postgres_until_term(tmp_path: Path) -> None:
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("PENSTOCK_", "RAY_"))}
    port = free_port()
    own = {"PENSTOCK_HOME": str(tmp_path / "home"), "PENSTOCK_HTTP_PORT": str(port), "PENSTOCK_BOOK": "dev"}
    log = tmp_path / "out"
    with log.open("wb") as out:
        running = subprocess.Popen(
            [sys.executable, "-m", "penstock", "serve"], cwd=ROOT, env=kept | own, stdout=out, stderr=out
        )
    try:
        wait(lambda: "Serving at" in log.read_text() or running.poll() is not None, log)
        assert "the dev book: the newest candidates" in log.read_text()
        wait(lambda: running.poll() is not None or _answers(port), log)
        ready = httpx.get(f"http://127.0.0.1:{port}/readyz")
        assert ready.status_code == 503
        assert "no candidate yet: `penstock train flight_delay`" in ready.json()["models"]["flight_delay"]
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 0
        assert "\nStopped.\n" in log.read_text()
    finally:
        if running.poll() is None:
            running.terminate()
            running.wait(60)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
    except httpx.ConnectError:
        return False


def wait(ready: Callable[[], bool], log: Path) -> None:
    end = time.monotonic() + SECONDS
    while not ready():
        assert time.monotonic() < end, log.read_text()[-3000:]
        time.sleep(0.2)


def test_logs_are_shown_once_and_by_whole_lines(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    folder = tmp_path / "ray" / "session_latest" / "logs"
    folder.mkdir(parents=True)
    path, logs = folder / "worker-1.err", Logs(tmp_path)
    path.write_bytes(b"one\ntw")
    logs.show()
    assert capfdbinary.readouterr().out == b"worker-1 | one\n"
    with path.open("ab") as file:
        file.write(b"o\n")
    logs.show()
    logs.show()
    assert capfdbinary.readouterr().out == b"worker-1 | two\n"
