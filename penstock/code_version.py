"""Which code this is, for the ledger."""

import subprocess
from functools import cache
from importlib.metadata import version

from penstock.project import ROOT


@cache
def code_version() -> str:
    """The checkout's commit, marked where files differ from it; the package's version outside a checkout."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return f"penstock {version('penstock')}"
    return described.stdout.strip()
