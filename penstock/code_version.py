"""Which code this is, for the ledger: the engine's version and the project's commit."""

import os
import subprocess
from functools import cache
from importlib.metadata import version

from penstock.project import Project, find
from penstock.settings import CODE_VERSION


def code_version(project: Project | None = None) -> str:
    """Such as `penstock 0.1.0, shop 1a2b3c4d5e6f-dirty`, of this process's project where none is given.

    The commit is what PENSTOCK_CODE_VERSION says, as in images, which have no repository. Else it is marked where files
    differ from it, and `no git` where the project is in no repository.
    """
    return _code_version(project or find())


@cache
def _code_version(project: Project) -> str:
    return f"penstock {version('penstock')}, {project.name} {_commit(project)}"


def _commit(project: Project) -> str:
    if said := os.environ.get(CODE_VERSION):
        return said
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607
            cwd=project.root,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "no git"
    return described.stdout.strip()
