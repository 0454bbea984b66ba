"""Small projects for tests, and processes in them: a process works for one project, and that of tests has its own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

DEFINITIONS = "from penstock.graph.definitions import build\n\ndefs = build(__file__)\n"
CONTRACT = """from datetime import datetime
from typing import Annotated

import msgspec
from penstock.contract.contract import Contract, Feature, Output


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    n: float
    asked_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


CONTRACT = Contract(
    model="{name}", purpose="A test.", request=Ask, entity=("n",), lookups=(), features=(Feature("n", "number"),),
    compute=lambda columns: {{"n": columns["n"]}}, output=Output("n", "regressor"),
)
"""


def write_project(root: Path, files: Mapping[str, str] = {}, *, declared: str = 'name = "small"') -> Path:
    """A project of some files; its packages are regular ones."""
    everything = {"pyproject.toml": f"[tool.penstock]\n{declared}\n", "model_tools/__init__.py": "", **files}
    if any(name.startswith("assets/") for name in files):
        everything |= {"assets/__init__.py": ""}
    for name, text in everything.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root.resolve()


def run_in(place: Path, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A command of this environment's Python, with `place` as working directory and nothing of this process's own
    project in its environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PENSTOCK_", "DAGSTER_"))}
    return subprocess.run(
        [sys.executable, *command], cwd=place, env=kept | more, capture_output=True, text=True, check=False
    )
