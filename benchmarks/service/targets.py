"""The services that are compared: ours on Ray Serve, ours under bare uvicorn, and the handwritten one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil

from benchmarks import ROOT
from benchmarks.service.files import ARRAYS, REQUESTS, UNJOURNALED
from penstock.postgres.databases import Databases
from penstock.processes import end_tree, free_port, memory, tree
from penstock.serving.deploying.deploy import Rollout
from penstock.serving.on_ray.cluster import RayCluster
from penstock.settings import Settings

READY_SECONDS = 90
PREDICT = "/models/flight_delay/predict"
HANDWRITTEN = ("--factory", "benchmarks.rivals.handwritten:application", "--log-level", "warning", "--no-access-log")


@dataclass(frozen=True)
class Target:
    """A running service: where it predicts, what to send, and its processes.

    `answering` are those of which a request needs CPU, `all` what it takes to run them. `asleep` says whether
    they may be stopped while another target is measured.
    """

    name: str
    url: str
    bodies: Path
    answering: Callable[[], list[psutil.Process]]
    all: Callable[[], list[psutil.Process]]
    postmaster: int
    asleep: bool = True
    prepare: Callable[[], None] = lambda: None

    def cpu(self) -> tuple[float, float, float]:
        """Seconds of CPU so far: of what answers, of Postgres, and of the rest."""
        answering = _seconds(self.answering())
        return answering, _seconds(tree(psutil.Process(self.postmaster))), _seconds(self.all()) - answering

    def memory(self) -> int:
        """Bytes that all processes of the service hold (PSS), Postgres aside."""
        return memory(self.all())

    def wake(self) -> None:
        """Let it run, after sleep()."""
        self._signal(signal.SIGCONT)
        self.prepare()

    def sleep(self) -> None:
        """Stop its processes, so that they cost those that are measured nothing."""
        self._signal(signal.SIGSTOP)

    def _signal(self, number: signal.Signals) -> None:
        if self.asleep:
            for process in self.all():
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)


def write_requests(settings: Settings, posted: list[dict[str, Any]], single: int, rows: int) -> None:
    """Write the bodies for our own services: some single ones, and all as arrays of so many rows."""
    timed = [request | {"asked_at": "@"} for request in posted]
    arrays = [timed[first : first + rows] for first in range(0, len(timed) - rows + 1, rows)]
    for name, bodies in ((REQUESTS, timed[:single]), (ARRAYS, arrays)):
        (settings.home / name).write_bytes(b"".join(msgspec.json.encode(body) + b"\n" for body in bodies))


@contextmanager
def on_ray(settings: Settings) -> Iterator[list[Target]]:
    """Ours through HAProxy and one replica, as `penstock up` runs it, with the journal and without."""
    started = RayCluster(settings).start()
    try:
        config = (ROOT / "serve_app" / "serve_config.yaml").read_text()
        config = config.replace("serve_app.deployment:build", "benchmarks.service.switchable:build")
        config = config.replace("min_replicas: 2", "min_replicas: 1")
        path = settings.home / "serve_config.yaml"
        path.write_text(config)
        Rollout(settings).apply(path)
        gcs, raylet = (part.process() for part in started.parts)
        assert gcs is not None
        assert raylet is not None
        off = settings.home / UNJOURNALED

        def journal() -> None:
            off.unlink(missing_ok=True)
            time.sleep(0.5)

        def do_not_journal() -> None:
            off.touch()
            time.sleep(0.5)

        def everything() -> list[psutil.Process]:
            return [*tree(gcs), *tree(raylet)]

        def answering() -> list[psutil.Process]:
            return [p for p in everything() if any(part in _command(p) for part in ("ServeReplica", "haproxy"))]

        url = f"http://{settings.http_host}:{settings.http_port}"
        _wait(f"{url}/readyz", "Penstock on Ray Serve")
        yield [
            Target(
                name,
                url + PREDICT,
                settings.home / REQUESTS,
                answering,
                everything,
                postmaster(settings),
                False,
                do,
            )
            for name, do in (("Penstock on Ray Serve", journal), ("the same without journal", do_not_journal))
        ]
    finally:
        RayCluster(settings).stop()


@contextmanager
def bare(settings: Settings) -> Iterator[list[Target]]:
    """Ours under bare uvicorn: the limit."""
    yield from _ours(settings, "Penstock under bare uvicorn", "penstock.serving.bare")


@contextmanager
def handwritten(settings: Settings) -> Iterator[list[Target]]:
    """FastAPI, pydantic, SQLAlchemy, pandas, joblib."""
    yield from _ours(settings, "handwritten FastAPI service", "uvicorn", *HANDWRITTEN)


def _ours(settings: Settings, name: str, module: str, *arguments: str) -> Iterator[list[Target]]:
    port = free_port()
    environment = {"PENSTOCK_TEST_URL": settings.test_url, "PENSTOCK_PROD_URL": settings.prod_url}
    command = [sys.executable, "-m", module, *arguments, "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    with child(settings, name, command, ROOT, environment, f"{url}/readyz") as processes:
        bodies = settings.home / REQUESTS
        yield [Target(name, url + PREDICT, bodies, processes, processes, postmaster(settings))]


@contextmanager
def child(
    settings: Settings, name: str, command: Sequence[str], folder: Path, environment: Mapping[str, str], ready: str
) -> Iterator[Callable[[], list[psutil.Process]]]:
    """Start a service, wait until `ready` answers 200, and end it afterwards; gives what lists its processes."""
    log_file = settings.home / "logs" / f"{name.split(maxsplit=1)[0]}.log"
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            command, env={**os.environ, "OMP_NUM_THREADS": "1", **environment}, cwd=folder, stdout=log, stderr=log
        )
    found = psutil.Process(process.pid)
    try:
        _wait(ready, name, log_file)
        yield lambda: tree(found)
    finally:
        for member in tree(found):
            with suppress(psutil.NoSuchProcess):
                member.resume()
        end_tree(found, grace=5)
        process.wait()


def _wait(url: str, name: str, log: Path | None = None) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        with suppress(httpx.HTTPError):
            if httpx.get(url).status_code == 200:
                return
        time.sleep(0.1)
    said = log.read_text(errors="replace")[-2000:] if log else ""
    raise TimeoutError(f"{name} is not ready after {READY_SECONDS} s. {said}")


def postmaster(settings: Settings) -> int:
    """The pid of the home's own Postgres."""
    found = Databases(settings).server().pid()
    assert found is not None
    return found


def _seconds(processes: list[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def _command(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""
