"""The private name of Dagster that the command line uses."""

import sys
from importlib.util import find_spec
from pathlib import Path

DAEMON_PACKAGE = "_daemon"
"""In the package dagster: what the command `dagster-daemon` runs. Without it the command itself is run; a system cannot
start its script where the path of the interpreter is too long or holds a space."""


def dagster_daemon() -> list[str]:
    """The command `dagster-daemon`, by this interpreter if it can be."""
    found = find_spec("dagster")
    if found and found.origin and (Path(found.origin).parent / DAEMON_PACKAGE / "__main__.py").is_file():
        return [sys.executable, "-m", f"dagster.{DAEMON_PACKAGE}"]
    return [str(Path(sys.executable).parent / "dagster-daemon")]
