"""The environment of the processes that `penstock up` starts."""

import os
from collections.abc import Mapping
from pathlib import Path

from penstock.project import Project
from penstock.settings import CODE_HOST, CODE_PORT


def dagster_home(place: Path, project: Project) -> Path:
    """The folder of Dagster's instance file in a home, made if missing. A file of the operator's own stays as it is."""
    instance, home = project.dagster_instance, place / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    link = home / "dagster.yaml"
    if link.is_file() and not link.is_symlink():
        return home
    if not link.is_symlink() or link.readlink() != instance:
        link.unlink(missing_ok=True)
        link.symlink_to(instance)
    return home


def child_environment(
    project: Project, home: Path, resolved: Mapping[str, str], *, code_port: int = 0
) -> dict[str, str]:
    """This process's environment, with every setting `resolved`, so that children find the same parts."""
    environment = dict(os.environ)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled once, every later start is faster
    return environment | {
        **resolved,
        CODE_HOST: "127.0.0.1",
        CODE_PORT: str(code_port),
        "DAGSTER_HOME": str(dagster_home(home, project)),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": os.environ.get("RAY_AUTH_MODE", "disabled"),
        "MALLOC_ARENA_MAX": "2",  # threads otherwise keep 64 MB arenas each
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2"),
        "OMP_WAIT_POLICY": "passive",  # threads that spin while they wait steal from the other parts
        "PYTHONUNBUFFERED": "1",
    }
