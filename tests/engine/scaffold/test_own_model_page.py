"""docs/own-model.md as it is printed: its commands run in order, and say what stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.processes import free_port
from tests.checkout import ROOT

PAGE = ROOT / "docs" / "own-model.md"
BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DATES = re.compile(r"\d{4}-\d\d would be the newest")


def blocks(kind: str) -> list[str]:
    """The fenced blocks of a kind, in their order."""
    return [text for found, text in BLOCK.findall(PAGE.read_text()) if found == kind]


@pytest.mark.usefixtures("stack")
def test_the_page_runs_as_printed(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PENSTOCK_", "DAGSTER_"))}
    own = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PENSTOCK_HTTP_PORT": str(free_port()),
        "PENSTOCK_DAGSTER_PORT": str(free_port()),
    }
    script = "set -e -o pipefail\n" + "".join(blocks("sh"))
    try:
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=kept | own,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    finally:
        if (tmp_path / "bikes").exists():
            down = [sys.executable, "-m", "penstock", "down"]
            subprocess.run(down, cwd=tmp_path / "bikes", env=kept | own, check=False, capture_output=True)
    print(done.stdout)
    assert done.returncode == 0
    assert "Traceback" not in done.stdout
    said = DATES.sub("", done.stdout)
    lines = [line for text in blocks("text") for line in text.splitlines()]
    assert len(lines) > 15
    assert [line for line in lines if DATES.sub("", line) not in said] == []
