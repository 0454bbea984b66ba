"""The code of each contract that was trained with, kept beside the artifacts, so that its predictions can be made again
when the project's code has gone on."""

import io
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import msgspec

from penstock.errors import PenstockError
from penstock.log_text import cause
from penstock.project import Project
from penstock.project_files import code_files
from penstock.releases.artifacts import StoreFolder, checked_digest
from penstock.settings import PROJECT

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file in an archive, so that equal code is equal bytes."""


class CodeArchive:
    """Archives in the folder `code` of an artifact store, each named by the digest of its contract."""

    def __init__(self, artifacts_url: str) -> None:
        self._folder = StoreFolder(artifacts_url, "code")

    def put(self, contract: str, project: Project, home: Path) -> None:
        """Keep the project's code as that of a contract, unless some is kept."""
        if self._folder.exists(_name(contract)):
            return
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, file in sorted(code_files(project, home).items()):
                archive.writestr(zipfile.ZipInfo(name, EPOCH), file.read_bytes(), zipfile.ZIP_DEFLATED)
        self._folder.write(_name(contract), content.getvalue())

    def fetch(self, contract: str, cache: Path) -> Path | None:
        """The folder of the project as it was, unpacked in `cache`; None where no code of the contract is kept."""
        if not contract or (cache / contract).is_dir():
            return cache / contract if contract else None
        if (content := self._folder.read(_name(contract))) is None:
            return None
        cache.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=cache, prefix=".new-"))
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                archive.extractall(made)
            if not (cache / contract).is_dir():
                made.rename(cache / contract)
        finally:
            shutil.rmtree(made, ignore_errors=True)
        return cache / contract


def run_kept(folder: Path, module: str, order: msgspec.Struct, todo: str = "") -> bytes:
    """What a module of the engine writes to its standard output when it reads the order and works for the project in
    the folder; PenstockError where the code there does not run here. A process works for one project."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", module],
        cwd=folder,
        env=os.environ | {PROJECT: str(folder)},
        input=msgspec.json.encode(order),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise PenstockError(
            f"the code of before in {folder}",
            expected="code that runs with the packages that are installed",
            found=cause(done.stderr.decode(errors="replace")),
            todo=todo,
        )
    return done.stdout


def _name(contract: str) -> str:
    return f"{checked_digest(contract)}.zip"
