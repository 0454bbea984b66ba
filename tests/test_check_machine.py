"""What `requirements/check_machine.py` says of machines that cannot install Penstock, before anything is installed."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.checkout import ROOT

SCRIPT = ROOT / "requirements" / "check_machine.py"


@pytest.fixture
def machine() -> ModuleType:
    specification = importlib.util.spec_from_file_location("check_machine", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_this_machine_is_not_refused(tmp_path: Path, machine: ModuleType) -> None:
    machine.PACKAGES_GB = machine.STATE_GB = 0.001
    assert machine.faults(str(tmp_path / "not" / "there" / "yet")) == []


def test_an_older_python_is_told_which_one_is_needed(machine: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.sys, "version_info", (3, 10, 14, "final", 0))
    (said,) = machine.python("")
    assert said.startswith("Penstock needs Python 3.11 or newer; ")
    assert said.endswith("is 3.10. Name another: make PYTHON=python3.12 up")


def test_a_python_without_venv_is_told_the_package(machine: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "venv", None)
    (said,) = machine.python("")
    assert said.endswith("lacks the module venv or ensurepip (Debian: apt-get install python3-venv).")


@pytest.mark.parametrize(
    "variables", [{"SOABI": "cpython-311-x86_64-linux-musl"}, {"HOST_GNU_TYPE": "x86_64-pc-linux-musl"}]
)
def test_musl_is_one_sentence(machine: ModuleType, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    monkeypatch.setattr(machine.sysconfig, "get_config_var", variables.get)
    (said,) = machine.libc("")
    assert said.startswith("Penstock needs glibc")
    assert "Use a Debian, Ubuntu or Fedora." in said


def test_a_full_disk_is_told_how_much_is_missing(machine: ModuleType, tmp_path: Path) -> None:
    machine.PACKAGES_GB = 1e9
    (said,) = machine.space(str(tmp_path / "venv"))
    assert said.startswith("Penstock needs 10000000")
    assert "GB are free." in said


def test_all_faults_are_said_at_once_and_nothing_is_written(tmp_path: Path) -> None:
    """The script itself, as make runs it, by a Python that believes to be older."""
    older = (
        "import runpy, sys; sys.version_info = (3, 10, 0, 'final', 0); sys.modules['venv'] = None;"
        " sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", older, str(SCRIPT), str(tmp_path / "venv")], check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "3.11 or newer" in said
    assert "lacks the module venv" in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []
