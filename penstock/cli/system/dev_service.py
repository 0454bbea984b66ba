"""The service of the dev book as a process of `penstock up`: one, without Ray."""

import sys
import time

from penstock.client import Client
from penstock.errors import PenstockError
from penstock.processes import Processes
from penstock.serving.models.candidates import SERVES
from penstock.serving.on_ray import cluster
from penstock.settings import Settings

NAME = "dev-service"
START_SECONDS = 60.0


def start(settings: Settings) -> str:
    """Start it where it does not run, and wait until it answers. Returns what to say of it."""
    from penstock.cli.system.environment import child_environment

    processes = Processes(settings.state)
    if processes.running(NAME):
        return f"already running: {SERVES}"
    if cluster.find(settings):
        raise PenstockError(
            "service", expected="none in this home", found="that of Ray", todo="Run `penstock down` first."
        )
    log = settings.home / "logs" / f"{NAME}.log"
    command = [sys.executable, "-m", "penstock", "serve"]
    processes.start(
        NAME,
        command,
        log=log,
        env=child_environment(settings),
        cwd=settings.demand_project().root,
        port=settings.http_port,
    )
    deadline = time.monotonic() + START_SECONDS
    with Client(settings.service_url, "", timeout=1.0) as client:
        while not client.alive():
            if not processes.running(NAME) or time.monotonic() > deadline:
                raise PenstockError("dev service", expected="an answer", found="none", todo=f"See {log}.")
            time.sleep(0.2)
    return f"{settings.service_url}: {SERVES}"


def runs(settings: Settings) -> bool:
    """Whether it runs in this home."""
    return Processes(settings.state).running(NAME) is not None


def stop(settings: Settings) -> bool:
    """End it; whether it ran."""
    return bool(Processes(settings.state).stop_all([NAME]))


def demand_none(settings: Settings) -> None:
    """PenstockError where it runs, for whoever starts another service at its port."""
    if runs(settings):
        raise PenstockError(
            "service", expected="none in this home", found="that of the dev book", todo="Run `penstock down` first."
        )
