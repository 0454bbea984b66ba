"""The service of the dev book as a process of `penstock up`: one, without Ray."""

import sys
import time

from penstock.client import Client
from penstock.errors import PenstockError
from penstock.processes import Processes
from penstock.serving.models.candidates import SERVES
from penstock.serving.on_ray.cluster import RayCluster
from penstock.settings import Settings

NAME = "dev-service"
START_SECONDS = 60.0


class DevService:
    """The service of the dev book in one home."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._processes = Processes(settings.state)

    def start(self) -> str:
        """Start it where it does not run, and wait until it answers. Returns what to say of it."""
        from penstock.cli.system.environment import child_environment
        from penstock.postgres.databases import Databases

        settings = self._settings
        if self.runs():
            return f"already running: {SERVES}"
        if RayCluster(settings).find():
            raise PenstockError(
                "service", expected="none in this home", found="that of Ray", todo="Run `penstock down` first."
            )
        log, project = settings.home / "logs" / f"{NAME}.log", settings.demand_project()
        self._processes.start(
            NAME,
            [sys.executable, "-m", "penstock", "serve"],
            log=log,
            env=child_environment(project, settings.home, Databases(settings).variables()),
            cwd=project.root,
            port=settings.http_port,
        )
        deadline = time.monotonic() + START_SECONDS
        with Client(settings.service_url, "", timeout=1.0) as client:
            while not client.alive():
                if not self.runs() or time.monotonic() > deadline:
                    raise PenstockError("dev service", expected="an answer", found="none", todo=f"See {log}.")
                time.sleep(0.2)
        return f"{settings.service_url}: {SERVES}"

    def runs(self) -> bool:
        """Whether it runs."""
        return self._processes.running(NAME) is not None

    def stop(self) -> bool:
        """End it; whether it ran."""
        return bool(self._processes.stop_all([NAME]))

    def demand_none(self) -> None:
        """PenstockError where it runs, for whoever starts another service at its port."""
        if self.runs():
            raise PenstockError(
                "service", expected="none in this home", found="that of the dev book", todo="Run `penstock down` first."
            )
