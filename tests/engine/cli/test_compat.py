"""Dagster's daemon is started by its module, and without that by its command."""

import subprocess
import sys

import pytest

from penstock.cli.system import compat


@pytest.mark.slow
@pytest.mark.parametrize("there", [True, False])
def test_the_daemon_starts_either_way(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not there:
        monkeypatch.setattr(compat, "DAEMON_PACKAGE", "_moved")
    command = compat.dagster_daemon()
    assert (command[0] == sys.executable) == there, "dagster._daemon has moved"
    shown = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
    assert "run" in shown
