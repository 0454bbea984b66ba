"""The two ports that a user chooses: are they free, or held by Penstock itself?"""

from cli import dagster_system
from model_tools.errors import PenstockError
from resources.processes import Processes, is_free
from resources.settings import Settings


class PortTaken(PenstockError):
    """Another program holds a port that Penstock was told to use."""


def check_ports(settings: Settings) -> str:
    """What the ports are; PortTaken naming the setting where another program holds one."""
    processes = Processes(settings.state)
    web = processes.running(dagster_system.WEB)
    serving = any(record.name.startswith("ray-") and record.process() for record in processes.all())
    if web and web.port != settings.dagster_port:
        raise _moved("PENSTOCK_DAGSTER_PORT", web.port, settings.dagster_port)
    if not web and not is_free(dagster_system.HOST, settings.dagster_port):
        raise _taken("PENSTOCK_DAGSTER_PORT", settings.dagster_port)
    if not serving and not is_free(settings.http_host, settings.http_port):
        raise _taken("PENSTOCK_HTTP_PORT", settings.http_port)
    return f"HTTP {settings.http_port}, Dagster {settings.dagster_port}"


def _taken(name: str, port: int) -> PortTaken:
    return PortTaken(
        f"port {port}",
        expected="free",
        found="held by another program",
        todo=f"End that program, or choose another port, for instance {name}={port + 1}.",
    )


def _moved(name: str, runs_at: int, wanted: int) -> PortTaken:
    return PortTaken(
        f"{name}={wanted}",
        expected=f"{runs_at}, where it runs already",
        found=str(wanted),
        todo="Run `penstock down` first to move it.",
    )
