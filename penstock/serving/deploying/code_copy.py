"""Copies of the project's code, by content: replicas run one of them, whatever happens to the project's own files."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import msgspec

import penstock
from penstock.code_version import code_version
from penstock.importing import FOREIGN
from penstock.project import CONTRACTS, FILE, Project

ENGINE = Path(penstock.__file__).resolve().parent
WHOLE = (CONTRACTS, "serve_app")
"""Folders of a project that are copied whole; of others, what Python imports."""
NEVER = {*FOREIGN, "__pycache__", "tests", "node_modules"}


class Code(msgspec.Struct, frozen=True):
    """One state of the code.

    - `digest` is of every file that is copied and of the engine's own: the same code has the same digest.
    - `version` says it to a reader.
    - `folder` holds the copy, which is a project of its own.
    """

    digest: str
    version: str
    folder: str

    def __str__(self) -> str:
        return f"{self.digest[:12]} ({self.version})"


def keep(project: Project, place: Path, home: Path) -> Code:
    """Copy the project's code below `place`, unless the same is there. What lies in `home` is no code."""
    files = {path.relative_to(project.root).as_posix(): path for path in _files(project, home)}
    digest = hashlib.sha256(f"{version('penstock')} {_digest(ENGINE)}".encode())
    for name in sorted(files):
        digest.update(f"\n{name} {hashlib.sha256(files[name].read_bytes()).hexdigest()}".encode())
    folder = place / digest.hexdigest()[:16] / project.root.name
    if not folder.exists():
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place, prefix=".new-") as temporary:
            made = Path(temporary) / project.root.name
            for name, path in files.items():
                (made / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, made / name)
            folder.parent.mkdir(exist_ok=True)
            made.rename(folder)
    return Code(digest.hexdigest(), code_version(project), str(folder))


def _files(project: Project, home: Path) -> Iterator[Path]:
    """What the service may import or read of the project: see WHOLE and NEVER. Hidden folders are left out."""
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


def _digest(folder: Path) -> str:
    """The digest of every file below a folder but what Python has compiled."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if "__pycache__" not in path.parts and path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"\n{path.relative_to(folder).as_posix()} {content}".encode())
    return digest.hexdigest()
