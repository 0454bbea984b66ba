"""A whole service on Ray Serve for chaos: its replicas, HAProxy, controller and Postgres by pid, and its config."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil
import yaml

from benchmarks import ROOT
from penstock.postgres.databases import Databases
from penstock.processes import tree
from penstock.serving.deploying.deploy import Rollout
from penstock.serving.on_ray.cluster import RayCluster
from penstock.settings import Settings

PATIENCE_SECONDS = 120.0
PARTS = {"replica": "ServeReplica", "HAProxy": "/bin/haproxy ", "controller": "ServeController"}


@dataclass(frozen=True)
class Stand:
    """One running service; every process that it names is one that this program started."""

    settings: Settings
    raylet: psutil.Process
    headers: dict[str, str] = field(default_factory=dict)

    def processes(self, part: str) -> list[psutil.Process]:
        """The processes of a part of PARTS."""
        return [process for process in tree(self.raylet) if PARTS[part] in _command(process)]

    def kill(self, part: str, *, all_of_them: bool = False) -> int:
        """Kill one process of a part, or each, with SIGKILL; gives how many."""
        found = self.processes(part)
        for process in found if all_of_them else found[:1]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        return len(found) if all_of_them else len(found[:1])

    def kill_postgres(self) -> None:
        """Kill the postmaster with SIGKILL, and wait for its end; its other processes notice and go."""
        pid = Databases(self.settings).server().pid()
        assert pid is not None
        killed = psutil.Process(pid)
        killed.kill()
        psutil.wait_procs([killed], timeout=PATIENCE_SECONDS)

    def stop_postgres(self) -> None:
        """Stop it in good order; whoever is connected is sent away."""
        Databases(self.settings).server().stop()

    def start_postgres(self) -> None:
        """Start it again; it recovers what was committed."""
        Databases(self.settings).server().start()

    def kill_backend(self) -> int:
        """Kill one process of Postgres that holds a connection; all others then restart. Gives how many were killed."""
        pid = Databases(self.settings).server().pid()
        assert pid is not None
        backends = [p for p in psutil.Process(pid).children() if "penstock_prod" in _command(p)]
        for backend in backends[-1:]:
            with suppress(psutil.NoSuchProcess):
                backend.kill()
        return len(backends[-1:])

    def configure(self, replicas: int, options: Mapping[str, Any] | None = None) -> None:
        """Apply the shipped config with a fixed number of replicas, and further options of the deployment."""
        config = yaml.safe_load((ROOT / "serve_app" / "serve_config.yaml").read_text())
        deployment = config["applications"][0]["deployments"][0]
        deployment["autoscaling_config"] |= {"min_replicas": replicas, "max_replicas": replicas}
        deployment |= options or {}
        path = self.settings.home / "serve_config.yaml"
        path.write_text(yaml.safe_dump(config))
        Rollout(self.settings).apply(path)

    def rollout(self, settings: Settings) -> Rollout:
        """What deploys the project of these settings to it."""
        return Rollout(settings)

    def wait_for_replicas(self, count: int, seconds: float = PATIENCE_SECONDS) -> float:
        """Wait until so many replicas answer, and no other runs; gives how long that took."""
        began = time.monotonic()
        while len(self.answering()) != count or len(self.processes("replica")) != count:
            if time.monotonic() > began + seconds:
                raise TimeoutError(f"not {count} replicas after {seconds:.0f} s")
            time.sleep(0.2)
        return time.monotonic() - began

    def answering(self) -> set[int]:
        """The pids of the replicas that HAProxy gives requests to."""
        found, url = set[int](), f"http://127.0.0.1:{self.settings.http_port}/state"
        with suppress(httpx.HTTPError, ValueError, KeyError):
            for _ in range(20):
                found.add(httpx.get(url, headers=self.headers).json()["replica"])
        return found


@contextmanager
def stand(settings: Settings, replicas: int, headers: Mapping[str, str] | None = None) -> Iterator[Stand]:
    """Start the service over the books of these settings, and end it and all its processes afterwards. Where it demands
    a key, that is in the `headers`."""
    started = RayCluster(settings).start()
    try:
        raylet = started.parts[-1].process()
        assert raylet is not None
        made = Stand(settings, raylet, dict(headers or {}))
        made.configure(replicas)
        made.wait_for_replicas(replicas)
        yield made
    finally:
        RayCluster(settings).stop()


def _command(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""
