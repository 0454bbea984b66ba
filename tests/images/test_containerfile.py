"""The file that both images are built from."""

import re
import subprocess
import sys
from pathlib import Path

from tests.checkout import ROOT


def test_hadolint_finds_nothing() -> None:
    program = Path(sys.executable).with_name("hadolint")
    found = subprocess.run([program, ROOT / "Containerfile"], capture_output=True, check=False, text=True)
    assert (found.returncode, found.stdout) == (0, "")


def test_hadolint_finds_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "Containerfile").write_text("FROM debian\nRUN cd /tmp\n")
    program = Path(sys.executable).with_name("hadolint")
    found = subprocess.run([program, tmp_path / "Containerfile"], capture_output=True, check=False, text=True)
    assert "DL3006" in found.stdout


def test_everything_is_compiled_anew() -> None:
    """Seen: pip had compiled the engine in a folder of a random name, which stood in the bytecode of every build."""
    compiled = re.findall(r"-m compileall (.*)", (ROOT / "Containerfile").read_text())
    assert len(compiled) == 5
    assert {one.partition(" -j")[0] for one in compiled} == {"-q -f"}
