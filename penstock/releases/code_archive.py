"""The code of each contract that was trained with, kept beside the artifacts, so that its predictions can be made again
when the project's code has gone on."""

import io
import os
import shutil
import tempfile
import uuid
import zipfile
from pathlib import Path
from typing import Any

from penstock.project import Project
from penstock.project_files import code_files
from penstock.releases.artifacts import checked_digest
from penstock.store_url import open_store

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file in an archive, so that equal code is equal bytes."""


class CodeArchive:
    """Archives in the folder `code` of an artifact store, each named by the digest of its contract."""

    def __init__(self, artifacts_url: str) -> None:
        self.url = artifacts_url.removeprefix("file://").rstrip("/") + "/code"
        self._local = "://" not in self.url

    def put(self, contract: str, project: Project, home: Path) -> None:
        """Keep the project's code as that of a contract, unless some is kept."""
        path = self._path(contract)
        if Path(path).exists() if self._local else self._files().exists(path):
            return
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, file in sorted(code_files(project, home).items()):
                archive.writestr(zipfile.ZipInfo(name, EPOCH), file.read_bytes(), zipfile.ZIP_DEFLATED)
        if not self._local:
            self._files().pipe_file(path, content.getvalue())
            return
        Path(self.url).mkdir(parents=True, exist_ok=True)
        part = Path(f"{self.url}/.{contract}.{uuid.uuid4().hex}.part")
        try:
            part.write_bytes(content.getvalue())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)

    def fetch(self, contract: str, cache: Path) -> Path | None:
        """The folder of the project as it was, unpacked in `cache`; None where no code of the contract is kept."""
        if not contract or (cache / contract).is_dir():
            return cache / contract if contract else None
        path = self._path(contract)
        try:
            content = Path(path).read_bytes() if self._local else self._files().cat_file(path)
        except FileNotFoundError:
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

    def _path(self, contract: str) -> str:
        return f"{self.url}/{checked_digest(contract)}.zip"

    def _files(self) -> Any:
        return open_store(self.url)[0]
