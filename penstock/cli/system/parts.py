"""The parts of the running system: pid, port, memory and health of each."""

from collections.abc import Callable
from functools import partial

import msgspec
import psutil
import psycopg

from penstock.cli.system import dagster_system
from penstock.cli.system.dagster_graphql import GraphQL
from penstock.cli.system.dagster_system import DagsterSystem
from penstock.cli.system.dev_service import NAME as DEV
from penstock.cli.system.dev_service import DevService
from penstock.cli.system.first_prediction import is_ready
from penstock.client import Client
from penstock.errors import PenstockError
from penstock.postgres.connecting import connect
from penstock.postgres.databases import Databases
from penstock.processes import Processes, Record, memory, tree
from penstock.serving.models.candidates import SERVES
from penstock.serving.on_ray.cluster import Head, RayCluster
from penstock.settings import Settings

STOPPED = "not running"
HEALTHY = "healthy"
ASK_SECONDS = 2.0


class Part(msgspec.Struct, frozen=True):
    """One part. `pid` and `port` are 0 if it has none; `memory` is the PSS, in bytes, of it and its children."""

    name: str
    pid: int
    port: int
    memory: int
    health: str

    @property
    def well(self) -> bool:
        """Whether it is healthy."""
        return self.health.startswith(HEALTHY)


def parts(settings: Settings) -> list[Part]:
    """Every part that `penstock up` starts, running or not."""
    processes, port = Processes(settings.state), settings.http_port
    ready = partial(is_ready, settings.service_url, settings.project)
    if settings.book == "dev" or DevService(settings).runs():
        serving = [_dev(processes.running(DEV), port, ready)]
    else:
        serving = _ray(RayCluster(settings).find(), port, ready, partial(_otherwise, settings.service_url))
    postgres = _postgres(Databases(settings), settings.prod_url)
    return [postgres, *_dagster(processes, DagsterSystem(settings).graphql), *serving]


def _dev(record: Record | None, port: int, ready: Callable[[], bool]) -> Part:
    health = f"{HEALTHY}: {SERVES}"
    process = record.process() if record else None
    return _part(DEV, process, port if record else 0, lambda: health if ready() else "not ready")


def _postgres(databases: Databases, prod_url: str) -> Part:
    if not databases.is_embedded():
        return _part("postgres", None, 0, lambda: _answers(prod_url), elsewhere="by URL")
    server = databases.server()
    pid = server.pid()
    elsewhere = f", data in {server.folder}" if server.folder != server.data else ""
    process = psutil.Process(pid) if pid else None
    return _part("postgres", process, 0, lambda: _answers(server.url("penstock_prod")) + elsewhere)


def _dagster(processes: Processes, api: GraphQL) -> list[Part]:
    health: dict[str, Callable[[], str]] = {
        dagster_system.CODE: lambda: api.load_error() or HEALTHY,
        dagster_system.WEB: lambda: HEALTHY if api.answers() else "does not answer",
        dagster_system.DAEMON: lambda: HEALTHY if api.daemon_healthy() else "no heartbeat",
    }
    found = []
    for name, check in health.items():
        record = processes.running(name)
        found.append(_part(name, record.process() if record else None, record.port if record else 0, check))
    return found


def _ray(running: Head | None, port: int, ready: Callable[[], bool], otherwise: Callable[[], str]) -> list[Part]:
    """Ray's head; and the replicas with HAProxy, which the head runs, as a part of their own."""
    if running is None:
        return [_part(name, None, 0, lambda: STOPPED) for name in ("ray", "service")]
    members = [member for record in running.parts if (process := record.process()) for member in tree(process)]
    serving = [member for member in members if _serves(member)]
    replicas = sum(_command(member).startswith("ray::ServeReplica") for member in serving)
    head = Part("ray", running.parts[0].pid, 0, memory(m for m in members if m not in serving), HEALTHY)
    count = f"{HEALTHY}, {replicas} replica{'s' if replicas != 1 else ''}"
    health = f"{count}{otherwise()}" if ready() else "not ready"
    return [head, Part("service", serving[0].pid if serving else 0, port, memory(serving), health)]


def _otherwise(url: str) -> str:
    """Which models are served from another release than the current one; empty where none is."""
    with Client(url, "", timeout=ASK_SECONDS) as client:
        refused = client.refused()
    return "".join(
        f"; {model}: release {one.serves} is served, not {one.release}, for {one.reason}"
        for model, one in refused.items()
    )


def _serves(process: psutil.Process) -> bool:
    command = _command(process)
    return command.startswith("ray::ServeReplica") or "haproxy -" in command


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _part(
    name: str, process: psutil.Process | None, port: int, check: Callable[[], str], *, elsewhere: str = ""
) -> Part:
    if process is None and not elsewhere:
        return Part(name, 0, port, 0, STOPPED)
    try:
        health = check()
    except (PenstockError, OSError, psycopg.Error) as error:
        health = str(error)
    return Part(
        f"{name} ({elsewhere})" if elsewhere else name,
        process.pid if process else 0,
        port,
        memory(tree(process)) if process else 0,
        health.strip().splitlines()[0],
    )


def _answers(url: str) -> str:
    with connect("Postgres", url, autocommit=True, application_name="penstock status"):
        return HEALTHY
