"""The parts of the running system: pid, port, memory and health of each."""

from collections.abc import Callable

import msgspec
import psutil
import psycopg

from penstock.cli.system import dagster_system, dev_service
from penstock.cli.system.first_prediction import is_ready
from penstock.client import Client
from penstock.errors import PenstockError
from penstock.postgres.connecting import connect
from penstock.postgres.databases import Databases
from penstock.processes import Processes, memory, tree
from penstock.serving.models.candidates import SERVES
from penstock.serving.on_ray import cluster
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
    serving = [_dev(settings)] if settings.book == "dev" or dev_service.runs(settings) else _ray(settings)
    return [_postgres(settings), *_dagster(settings), *serving]


def _dev(settings: Settings) -> Part:
    record = Processes(settings.state).running(dev_service.NAME)
    return _part(
        dev_service.NAME,
        record.process() if record else None,
        settings.http_port if record else 0,
        lambda: f"{HEALTHY}: {SERVES}" if is_ready(settings) else "not ready",
    )


def _postgres(settings: Settings) -> Part:
    if not Databases(settings).is_embedded():
        return _part("postgres", None, 0, lambda: _answers(settings.prod_url), elsewhere="by URL")
    server = Databases(settings).server()
    pid = server.pid()
    elsewhere = f", data in {server.folder}" if server.folder != server.data else ""
    process = psutil.Process(pid) if pid else None
    return _part("postgres", process, 0, lambda: _answers(server.url("penstock_prod")) + elsewhere)


def _dagster(settings: Settings) -> list[Part]:
    processes, api = Processes(settings.state), dagster_system.graphql(settings)
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


def _ray(settings: Settings) -> list[Part]:
    """Ray's head; and the replicas with HAProxy, which the head runs, as a part of their own."""
    running = cluster.find(settings)
    if running is None:
        return [_part(name, None, 0, lambda: STOPPED) for name in ("ray", "service")]
    members = [member for record in running.parts if (process := record.process()) for member in tree(process)]
    serving = [member for member in members if _serves(member)]
    replicas = sum(_command(member).startswith("ray::ServeReplica") for member in serving)
    head = Part("ray", running.parts[0].pid, 0, memory(m for m in members if m not in serving), HEALTHY)
    count = f"{HEALTHY}, {replicas} replica{'s' if replicas != 1 else ''}"
    health = f"{count}{_otherwise(settings)}" if is_ready(settings) else "not ready"
    return [head, Part("service", serving[0].pid if serving else 0, settings.http_port, memory(serving), health)]


def _otherwise(settings: Settings) -> str:
    """Which models are served from another release than the current one; empty where none is."""
    with Client(settings.service_url, "", timeout=ASK_SECONDS) as client:
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
