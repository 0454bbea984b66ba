"""The two ports that a user chooses: whether they are free, held by Penstock itself, or have to be others."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path

import msgspec

from penstock.cli.system import dagster_system
from penstock.cli.system.dev_service import NAME as DEV_SERVICE
from penstock.cli.system.port_holder import PortHolder
from penstock.errors import PenstockError, demand_none
from penstock.processes import Processes, free_port, hold_port, is_free, is_own_address
from penstock.settings import DAGSTER_PORT, HTTP_PORT, Ports, Settings, is_set, remember_ports

ATTEMPTS, LOOPBACK = 100, "127.0.0.1"


class PortError(PenstockError):
    """Another program holds a port that Penstock was told to use, or its host is not this machine."""


def choose_ports(settings: Settings, held: ExitStack) -> Settings:
    """The settings with ports that can be used. They are remembered for every later command of this home.

    A port that the environment names is used or refused. If a default port is taken, a free one is used instead. Until
    `held` closes, another `penstock up` on this machine takes none of them, although nothing listens there yet.
    """
    demand_own_address(settings.http_host)
    web, serving = _running(settings.state)
    dagster, http = settings.dagster_port, settings.http_port
    faults: list[PenstockError] = []
    with _noted(faults):
        if not web:
            dagster = _first_free(held, "PENSTOCK_DAGSTER_PORT", dagster_system.HOST, DAGSTER_PORT, dagster)
    with _noted(faults):
        if not serving:
            http = _first_free(held, "PENSTOCK_HTTP_PORT", settings.http_host, HTTP_PORT, http)
    demand_none(faults)
    chosen = msgspec.structs.replace(settings, dagster_port=dagster, http_port=http)
    ports = Ports(http=http, dagster=dagster)
    check_ports(chosen)
    remember_ports(settings.home, ports)
    return chosen


def check_ports(settings: Settings) -> str:
    """The ports in words; PortError, which names the setting, if another program holds one."""
    demand_own_address(settings.http_host)
    (web, serving), dagster, http = _running(settings.state), settings.dagster_port, settings.http_port
    if dagster == http:
        found, todo = f"{http} for both", "Set one of them to another port."
        raise PortError("PENSTOCK_HTTP_PORT and PENSTOCK_DAGSTER_PORT", expected="two ports", found=found, todo=todo)
    if settings.tls_file and (https := int(settings.https_address.rpartition(":")[2])) in (http, dagster):
        todo = "Set another one, for instance PENSTOCK_HTTPS_ADDRESS=0.0.0.0:8443."
        raise PortError("PENSTOCK_HTTPS_ADDRESS", expected="a port of its own", found=f"{https}, of HTTP", todo=todo)
    if web and web != dagster:
        raise _moved("PENSTOCK_DAGSTER_PORT", web, dagster)
    if not web and not is_free(dagster_system.HOST, dagster):
        raise _taken("PENSTOCK_DAGSTER_PORT", dagster)
    hosts = (settings.http_host, LOOPBACK)  # HAProxy listens at both
    if not serving and not all(is_free(host, http) for host in hosts):
        raise _taken("PENSTOCK_HTTP_PORT", http)
    if not settings.tls_file:
        return f"HTTP {http}, Dagster {dagster}"
    host, _, port = settings.https_address.rpartition(":")
    demand_own_address(host, "PENSTOCK_HTTPS_ADDRESS")
    if not serving and not is_free(host, int(port)):
        holder = PortHolder.of(int(port))
        todo = f"{holder.end}, or set another one, for instance 0.0.0.0:9443."
        raise PortError(f"PENSTOCK_HTTPS_ADDRESS={settings.https_address}", found=f"held by {holder.name}", todo=todo)
    return f"HTTP {http}, HTTPS {port}, Dagster {dagster}"


@contextmanager
def _noted(faults: list[PenstockError]) -> Iterator[None]:
    """Note the fault of a port, and go on to the next one."""
    try:
        yield
    except PortError as error:
        faults.append(error)


def _running(state: Path) -> tuple[int, bool]:
    """The port of the running webserver, or 0, and whether the service runs."""
    processes = Processes(state)
    web = processes.running(dagster_system.WEB)
    ours = [record for record in processes.all() if record.name.startswith("ray-") or record.name == DEV_SERVICE]
    serving = any(record.process() for record in ours)
    return web.port if web else 0, serving


def _first_free(held: ExitStack, name: str, host: str, default: int, last: int) -> int:
    """The first port that is free and now held: the one that variable `name` names, else the default, the last, any."""
    others = (free_port(host) for _ in range(ATTEMPTS))
    for port in [last] if is_set(name) else chain([default, last], others):
        if is_free(host, port) and hold_port(held, port):
            return port
    raise _taken(name, last)


def demand_own_address(host: str, variable: str = "PENSTOCK_HTTP_HOST") -> None:
    """PortError where no process of this machine can listen at `host`."""
    if not is_own_address(host):
        raise PortError(
            f"{variable}={host}",
            expected="one of the addresses of this machine",
            found="not one of them",
            todo="Set 127.0.0.1, the machine's own address, or 0.0.0.0 for all that it has.",
        )


def _taken(name: str, port: int) -> PortError:
    holder = PortHolder.of(port)
    return PortError(
        f"port {port}",
        expected="free",
        found=f"held by {holder.name}",
        todo=f"{holder.end}, or choose another port, for instance {name}={port + 1}.",
    )


def _moved(name: str, runs_at: int, wanted: int) -> PortError:
    return PortError(
        f"{name}={wanted}",
        expected=f"{runs_at}, where it runs already",
        found=str(wanted),
        todo="Run `penstock down` first to move it.",
    )
