"""Writing a new project: copies of this repository's top level, and what differs for a team; all of it or nothing."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from penstock.errors import PenstockError
from penstock.project import Project, containing, plain_name
from penstock.scaffold.archive import unpacked
from penstock.scaffold.engine import write_requirement
from penstock.scaffold.manifest import copied
from penstock.scaffold.templates import render

HERE = Path(__file__).parent
RENDERED = {
    "pyproject.toml": "pyproject.toml.jinja",
    "Makefile": "Makefile.jinja",
    "README.md": "README.md.jinja",
    "tests/conftest.py": "conftest.py.jinja",
    ".ci/run": "ci_run.jinja",
}
PROGRAMS = (".ci/run",)
SHOWN = 5


class NewProject(msgspec.Struct, frozen=True):
    """What was written: the project, how many files, and the line that installs its engine."""

    project: Project
    files: int
    engine: str


def write_project(folder: Path, example: str = "") -> NewProject:
    """Write a project into a new or empty folder; PenstockError where that is not possible, with nothing left of it."""
    folder = folder.resolve()
    _demand_empty(folder)
    with unpacked(HERE, checkout=HERE.parent.parent) as top:
        source = containing(top)
        if example not in ("", source.name):
            raise PenstockError("--example", expected=source.name, found=repr(example))
        return _written(folder, source, example)


def _written(folder: Path, source: Project, example: str) -> NewProject:
    project = Project(folder, plain_name(folder.name), source.seed if example else "")
    with _whole(folder) as place:
        for name, path in copied(source.root, example=bool(example)).items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place / name)
        for name, rendered in RENDERED.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(render(rendered, project=project, example=example), encoding="utf-8")
        for name in PROGRAMS:
            (place / name).chmod(0o755)
        workspace = place / "workspace.yaml"
        named = f"location_name: {source.name}\n"
        workspace.write_text(workspace.read_text().replace(named, f"location_name: {project.name}\n"))
        engine = write_requirement(place)
        files = sum(path.is_file() for path in place.rglob("*"))
    return NewProject(project, files, engine)


def _demand_empty(folder: Path) -> None:
    try:
        found = sorted(path.name for path in folder.iterdir())
    except FileNotFoundError:
        return
    except NotADirectoryError:
        found = ["a file"]
    if found:
        listed = ", ".join(found[:SHOWN]) + (f" and {len(found) - SHOWN} more" if len(found) > SHOWN else "")
        todo = "Name another folder, or empty this one."
        raise PenstockError(str(folder), expected="a new or empty folder", found=listed, todo=todo)


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A folder to write into, whose content becomes that of `folder` at the end; after a failure nothing is left."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    moved: list[Path] = []
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".penstock-init-") as scratch:
            yield Path(scratch)
            for path in sorted(Path(scratch).iterdir()):
                moved.append(path.rename(folder / path.name))
    except BaseException:
        for path in moved:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path in missing:
            path.rmdir()
        raise
