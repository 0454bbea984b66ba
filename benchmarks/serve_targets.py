"""The services that are compared: ours on Ray Serve, ours under bare uvicorn, and the handwritten one."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from resources import postgres
from resources.processes import end_tree, free_port, tree
from resources.settings import ROOT, Settings
from serve_app import cluster

READY_SECONDS = 60
PREDICT = "/models/flight_delay/predict"
HANDWRITTEN = ("--factory", "benchmarks.serve_handwritten:application", "--log-level", "warning", "--no-access-log")


@dataclass(frozen=True)
class Target:
    """A running service: where it predicts, and the processes that answer."""

    name: str
    url: str
    processes: Callable[[], list[psutil.Process]]
    postmaster: int

    def cpu(self) -> tuple[float, float]:
        """Seconds of CPU so far: of the service, and of Postgres."""
        return _seconds(self.processes()), _seconds(tree(psutil.Process(self.postmaster)))


@contextmanager
def on_ray(settings: Settings) -> Iterator[Target]:
    """Ours through HAProxy and one replica, as `penstock up` runs it."""
    started = cluster.start(settings)
    try:
        cluster.apply(settings)
        raylet = started.parts[-1].process()
        assert raylet is not None

        def answering() -> list[psutil.Process]:
            found = raylet.children(recursive=True)
            return [p for p in found if any(part in _command(p) for part in ("ServeReplica", "haproxy"))]

        url = f"http://{settings.http_host}:{settings.http_port}"
        yield _ready(settings, "Penstock on Ray Serve", url, answering)
    finally:
        cluster.stop(settings)


def bare(settings: Settings) -> AbstractContextManager[Target]:
    """Ours under bare uvicorn: the limit."""
    return _uvicorn(settings, "Penstock under bare uvicorn", "serve_app.bare")


def handwritten(settings: Settings) -> AbstractContextManager[Target]:
    """FastAPI, pydantic, SQLAlchemy, pandas, joblib."""
    return _uvicorn(settings, "handwritten FastAPI service", "uvicorn", *HANDWRITTEN)


@contextmanager
def _uvicorn(settings: Settings, name: str, module: str, *arguments: str) -> Iterator[Target]:
    port = free_port()
    environment = os.environ | {
        "PENSTOCK_TEST_URL": settings.test_url,
        "PENSTOCK_PROD_URL": settings.prod_url,
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", module, *arguments, "--port", str(port)]
    with (settings.home / "logs" / f"{module}.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stderr=log)
    try:
        yield _ready(settings, name, f"http://127.0.0.1:{port}", lambda: tree(psutil.Process(process.pid)))
    finally:
        end_tree(psutil.Process(process.pid), grace=5)
        process.wait()


def _ready(settings: Settings, name: str, url: str, processes: Callable[[], list[psutil.Process]]) -> Target:
    """The target once it answers /readyz."""
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{url}/readyz").status_code == 200:
                postmaster = postgres.server(settings).pid()
                assert postmaster is not None
                return Target(name, url + PREDICT, processes, postmaster)
        time.sleep(0.1)
    raise TimeoutError(f"{name} is not ready after {READY_SECONDS} s; its home is {Path(settings.home)}")


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
