"""The whole system, started once by the command, as a newcomer would."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from penstock.processes import free_port
from tests.checkout import ROOT

Penstock = Callable[..., subprocess.CompletedProcess[str]]
SECRET = "hunter2-of-a-store"


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def ports() -> tuple[int, int]:
    """Of the service and of Dagster."""
    return free_port(), free_port()


@pytest.fixture(scope="session")
def penstock(stack: None, home: Path, ports: tuple[int, int]) -> Iterator[Penstock]:
    """Runs the command as a user would; whatever happens, everything is down afterwards."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PENSTOCK_", "DAGSTER_", "RAY_"))}
    own = {"PENSTOCK_HOME": home, "PENSTOCK_HTTP_PORT": ports[0], "PENSTOCK_DAGSTER_PORT": ports[1]}
    environment = kept | {name: str(value) for name, value in own.items()} | {"AWS_SECRET_ACCESS_KEY": SECRET}

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "penstock", *arguments]
        done = subprocess.run(
            command,
            check=False,
            cwd=ROOT,
            env=environment | more,
            capture_output=True,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # as a shell's job in the background
        )
        print(done.stdout, done.stderr, sep="\n")
        return done

    yield run
    run("down")


@pytest.fixture(scope="session")
def first_up(penstock: Penstock) -> str:
    """What the first `penstock up` printed."""
    done = penstock("up")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def up(first_up: str, penstock: Penstock) -> None:
    """Everything runs, whatever the tests of another file have left of the first `penstock up`."""
    done = penstock("up")
    assert done.returncode == 0, done.stderr


def processes_of(home: Path) -> list[psutil.Process]:
    """What still runs in this home, by its environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("PENSTOCK_HOME") == str(home) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found
