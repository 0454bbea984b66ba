"""The project around the engine: a team's folder, found by PENSTOCK_PROJECT or from the working directory upwards."""

import difflib
import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from penstock.errors import PenstockError

FILE = "pyproject.toml"
TABLE = "[tool.penstock]"
KEYS = ("name", "seed")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
CONTRACTS = "model_tools"
DECLARATIONS = "assets"
DEFINITIONS = "assets.definitions"
NO_MODEL = (
    "No model yet: `penstock new MODEL --from TABLE --outcome COLUMN --key COLUMN --asked-at COLUMN` writes one from a "
    "table of the warehouse; `penstock init DIR --example NAME` writes a project that has one, to copy from."
)


class ProjectError(PenstockError):
    """There is no project here, or what describes it cannot be used."""


class Project(msgspec.Struct, frozen=True):
    """One project.

    - `root` is its folder, absolute and without links.
    - `name` tells it from other projects: it names its code location in Dagster.
    - `seed` is the module whose `ensure(settings)` fills the embedded warehouse; empty where nothing does.
    """

    root: Path
    name: str
    seed: str = ""

    @property
    def state(self) -> Path:
        """Where everything is kept that PENSTOCK_HOME or a URL does not send elsewhere."""
        return self.root / ".penstock"

    @property
    def requirements(self) -> Path:
        """The pinned packages that the project runs with."""
        return self.root / "requirements" / "run.txt"

    @property
    def serve_config(self) -> Path:
        """How Ray Serve runs the service."""
        return self.file("serve_app", "serve_config.yaml")

    @property
    def workspace(self) -> Path:
        """The code locations of Dagster's webserver and daemon."""
        return self.file("workspace.yaml")

    @property
    def dagster_instance(self) -> Path:
        """Dagster's instance file."""
        return self.file("dagster.yaml")

    def file(self, *parts: str) -> Path:
        """A file that every project has; ProjectError where this one lacks it."""
        path = self.root.joinpath(*parts)
        if not path.is_file():
            todo = "`penstock init DIR` writes a project that has it: copy it from there."
            raise ProjectError(str(path), expected="a file of the project", found="none", todo=todo)
        return path

    def put_on_path(self) -> None:
        """Let this process import the project's packages before any others of their names."""
        root = str(self.root)
        if sys.path[:1] != [root]:
            sys.path[:] = [root, *(entry for entry in sys.path if entry != root)]


def find() -> Project:
    """The project of this process: PENSTOCK_PROJECT, else around the working directory; ProjectError without one."""
    named = os.environ.get("PENSTOCK_PROJECT")
    if not named:
        return containing(Path.cwd())
    root = Path(named).resolve()
    project = _read(root)
    if project is None:
        found = "a folder without it" if root.is_dir() else "no such folder"
        raise ProjectError(
            f"PENSTOCK_PROJECT={named}",
            expected=f"a folder whose {FILE} has {TABLE}",
            found=found,
            todo="Correct or unset it.",
        )
    return project


def find_or_none() -> Project | None:
    """The project of this process; None where there is none, ProjectError for one that cannot be used."""
    if os.environ.get("PENSTOCK_PROJECT"):
        return find()
    return _around(Path.cwd())


def containing(place: Path) -> Project:
    """The project that a folder or file lies in; ProjectError where it lies in none."""
    project = _around(place)
    if project is None:
        raise no_project(place)
    return project


def no_project(place: Path | None = None) -> ProjectError:
    """What to say where there is no project, by default around the working directory."""
    return ProjectError(
        "no project here",
        expected=f"a {FILE} with {TABLE} in {place or Path.cwd()} or a folder above it",
        found="none",
        todo="Go to a project, set PENSTOCK_PROJECT to one, or write a new one: penstock init DIR",
    )


def _around(place: Path) -> Project | None:
    place = place.resolve()
    return next((project for folder in (place, *place.parents) if (project := _read(folder))), None)


def _read(folder: Path) -> Project | None:
    """The project of a folder, None where its pyproject.toml declares none."""
    path = folder / FILE
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ProjectError(str(path), expected="a file that can be read", found=str(error.strerror)) from None
    except ValueError as error:
        raise ProjectError(str(path), expected="TOML", found=str(error), todo="Correct it.") from None
    tool = document.get("tool", {})
    declared = tool.get("penstock") if isinstance(tool, dict) else None
    return None if declared is None else _project(folder, path, declared)


def _project(folder: Path, path: Path, declared: Any) -> Project:
    where = f"{TABLE} of {path}"
    if not isinstance(declared, dict) or not all(isinstance(value, str) for value in declared.values()):
        raise ProjectError(where, expected=f"texts for {' and '.join(KEYS)}", found=repr(declared))
    for key in declared.keys() - set(KEYS):
        near = difflib.get_close_matches(key, KEYS, 1)
        todo = f"Did you mean {near[0]}?" if near else "Remove it."
        raise ProjectError(where, expected=f"the keys {' and '.join(KEYS)}", found=repr(key), todo=todo)
    name = declared.get("name") or plain_name(folder.name)
    if not NAME.fullmatch(name):
        expected = "a name of letters, digits, - and _ that begins with a letter"
        raise ProjectError(where, expected=expected, found=repr(name), todo="Change `name`.")
    return Project(folder, name, declared.get("seed", ""))


def plain_name(text: str) -> str:
    """A name for a project from any text, such as the name of its folder."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_")
    return plain if NAME.fullmatch(plain) else f"project-{plain}".rstrip("-")
