"""Which code and which settings Dagster's processes run with, to see whether they are still those of the project."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import msgspec

from penstock.project import Project
from penstock.project_files import project_folders

FILE = "dagster-code.json"
READ = {".py", ".sql", ".toml", ".yaml", ".yml", ".json"}
"""What declarations are made of. Data beside them are no code."""


class DagsterCode(msgspec.Struct, frozen=True):
    """What the code server was started with, as two digests.

    - `settings`: every variable of Penstock, and the engine's version. Where they change, the processes start again.
    - `files`: names, sizes and times of the project's files. Where they change, the code server reads them again.
    """

    settings: str
    files: str

    @classmethod
    def now(cls, project: Project, home: Path, variables: Mapping[str, str]) -> "DagsterCode":
        """That of a project as it is, whose state is in a home."""
        said = (f"{name}={value}" for name, value in sorted(variables.items()))
        return cls(_digest([version("penstock"), *said]), _digest(_files(project, home)))

    @classmethod
    def read(cls, state: Path) -> "DagsterCode | None":
        """That of the processes that were started last; None where nothing is known of them."""
        with suppress(OSError, msgspec.DecodeError):
            return msgspec.json.decode((state / FILE).read_bytes(), type=cls)
        return None

    def write(self, state: Path) -> None:
        """Keep it, for the next `penstock up` or `penstock deploy`."""
        (state / FILE).write_bytes(msgspec.json.encode(self))


def _files(project: Project, home: Path) -> Iterator[str]:
    for folder, names in project_folders(project, home):
        for name in sorted(names):
            path = folder / name
            if path.suffix in READ and path.is_file():
                state = path.stat()
                yield f"{path.relative_to(project.root)} {state.st_size} {state.st_mtime_ns}"


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
