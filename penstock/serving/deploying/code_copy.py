"""Copies of the project's code, by content: replicas run one of them, whatever happens to the project's own files."""

import hashlib
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

import msgspec

from penstock.code_version import code_version
from penstock.project import Project
from penstock.project_files import ENGINE, code_files


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
    """Copy the project's code below `place`, unless the same is there.

    What lies in `home` is no code, and the configuration is none: a deploy keeps it beside its code.
    """
    files = code_files(project, home)
    files.pop("serve_app/serve_config.yaml", None)
    digest = hashlib.sha256(f"{version('penstock')} {_digest(ENGINE)}".encode())
    for name in sorted(files):
        digest.update(f"\n{name} {hashlib.sha256(files[name].read_bytes()).hexdigest()}".encode())
    folder = place / digest.hexdigest()[:16] / project.root.name
    if not folder.exists():
        place.mkdir(parents=True, exist_ok=True)
        # No TemporaryDirectory: a process that ends empties it while a thread still copies, which then keeps the rest.
        temporary = Path(tempfile.mkdtemp(dir=place, prefix=".new-"))
        try:
            made = temporary / project.root.name
            for name, path in files.items():
                (made / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, made / name)
            folder.parent.mkdir(exist_ok=True)
            made.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return Code(digest.hexdigest(), code_version(project), str(folder))


def _digest(folder: Path) -> str:
    """The digest of every file below a folder but what Python has compiled."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if "__pycache__" not in path.parts and path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"\n{path.relative_to(folder).as_posix()} {content}".encode())
    return digest.hexdigest()
