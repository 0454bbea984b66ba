"""The files of a project that are its code: what a replica runs a copy of, and what is kept beside an artifact."""

import os
from collections.abc import Iterator
from pathlib import Path

import penstock
from penstock.importing import FOREIGN
from penstock.project import CONTRACTS, FILE, Project

ENGINE = Path(penstock.__file__).resolve().parent
WHOLE = (CONTRACTS, "serve_app")
"""Folders of a project that are copied whole; of others, what Python imports."""
NEVER = {*FOREIGN, "__pycache__", "tests", "node_modules"}


def code_files(project: Project, home: Path) -> dict[str, Path]:
    """What the service may import or read of the project, by its path in it: see WHOLE and NEVER.

    Hidden folders are left out, and what lies in `home` is no code.
    """
    return {path.relative_to(project.root).as_posix(): path for path in _files(project, home)}


def _files(project: Project, home: Path) -> Iterator[Path]:
    yield project.root / FILE
    for folder, names in project_folders(project, home):
        relative = folder.relative_to(project.root)
        whole = bool(relative.parts) and relative.parts[0] in WHOLE
        yield from (folder / name for name in names if whole or name.endswith(".py"))


def project_folders(project: Project, home: Path) -> Iterator[tuple[Path, list[str]]]:
    """The folders of a project that may hold code, each with the names of its files: see NEVER."""
    for folder, folders, names in os.walk(project.root):
        here = Path(folder)
        folders[:] = sorted(one for one in folders if not _is_foreign(here / one, home))
        yield here, names


def _is_foreign(folder: Path, home: Path) -> bool:
    return (
        folder.name in NEVER
        or folder.name.startswith(".")
        or folder in (ENGINE, home)
        or (folder / "pyvenv.cfg").exists()
    )
