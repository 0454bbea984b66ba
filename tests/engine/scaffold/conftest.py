"""An empty environment with nothing of the checkout in it: the engine's wheel, and the packages that it needs."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.checkout import ROOT
from tests.engine.scaffold.cases import New, new_model_in
from tests.engine.test_wheel import built

AUDIT = """
import os, sys

def note(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], (str, bytes)):
        path = os.path.abspath(os.fsdecode(arguments[0]))
        if path.startswith({checkout!r}) and not path.startswith({packages!r}):
            with open({log!r}, "a") as file:
                file.write(f"{{path}}\\n")

sys.addaudithook(note)
"""


class CleanRoom:
    """A virtual environment with the wheel. Every Python that is started from it writes down what it opens of the
    checkout.

    The packages beside the engine are those of the tests' own environment: its folder is on the path as a folder, so
    that the editable engine in it, which a .pth file there leads to, is not.
    """

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder
        self.bin = folder / "venv" / "bin"
        self.opened = folder / "opened.log"
        packages = sysconfig.get_path("purelib")
        venv.create(folder / "venv", with_pip=False)
        own = next((folder / "venv" / "lib").glob("python3*/site-packages"))
        pip = [sys.executable, "-m", "pip", "--python", str(self.bin / "python"), "install", "-q", "--no-deps"]
        subprocess.run([*pip, "--disable-pip-version-check", str(wheel)], check=True)
        (own / "packages.pth").write_text(f"{packages}\n")
        text = AUDIT.format(checkout=f"{ROOT}{os.sep}", packages=f"{sys.prefix}{os.sep}", log=str(self.opened))
        (own / "opened.py").write_text(text)
        (own / "opened.pth").write_text("import opened\n")  # Debian's Python has a sitecustomize of its own
        for program in ("ruff", "mypy"):
            (self.bin / program).symlink_to(Path(sys.prefix) / "bin" / program)

    def run(self, *command: str, cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
        """A command of the environment, as its user would: nothing of this process's own settings is seen."""
        dropped = ("PENSTOCK_", "DAGSTER_", "RAY_", "PYTHON", "VIRTUAL_ENV", "COVERAGE")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        program, *arguments = command
        found = str(self.bin / program) if (self.bin / program).exists() else program
        done = subprocess.run(
            [found, *arguments], cwd=cwd or self.folder, env=kept | more, capture_output=True, text=True, check=False
        )
        print(done.stdout, done.stderr, sep="\n")
        return done

    def read_of_the_checkout(self) -> set[str]:
        """What was opened of the checkout until now."""
        return set(self.opened.read_text().splitlines()) if self.opened.exists() else set()


@pytest.fixture(scope="session")
def clean_room(tmp_path_factory: pytest.TempPathFactory) -> CleanRoom:
    folder = tmp_path_factory.mktemp("clean")
    return CleanRoom(folder.resolve(), built(tmp_path_factory.mktemp("wheel")))


@pytest.fixture
def new_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> New:
    """`penstock new m` in an empty project with the table `cases`."""
    return new_model_in(tmp_path, monkeypatch)
