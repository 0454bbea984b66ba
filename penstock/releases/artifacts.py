"""The artifact store: model files by their digest, in a folder or behind any fsspec URL."""

import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

from penstock.errors import ArtifactError
from penstock.store_url import age, open_store, shown_store

_DIGEST = re.compile(r"[0-9a-f]{64}")
_CHUNK = 1 << 20
_ABANDONED_AFTER = timedelta(days=1)


class DamagedArtifactError(ArtifactError):
    """A store's file is not what its name says: it is damaged, or the store is lying just now."""


class ArtifactStore:
    """Files that are written once, under the SHA-256 of their bytes. fsspec is imported for real URLs only."""

    def __init__(self, url: str) -> None:
        self.url = url.removeprefix("file://").rstrip("/")
        self._local = "://" not in self.url

    @property
    def shown(self) -> str:
        """Where the store is, without any secret of its URL."""
        return shown_store(self.url)

    def put(self, path: str | Path) -> str:
        """Store the file and return its digest. The same bytes again change nothing."""
        path = Path(path)
        digest = sha256_of(path)
        if self.exists(digest):
            if self._local:
                os.utime(self._path(digest))  # wanted again, so not old: see penstock.retention.models
            return digest
        part = f"{self.url}/.{digest}.{uuid.uuid4().hex}.part"
        if self._local:
            Path(self.url).mkdir(parents=True, exist_ok=True)
            try:
                with path.open("rb") as source:
                    _write(Path(part), lambda target: shutil.copyfileobj(source, target, _CHUNK))
                os.replace(part, self._path(digest))
            finally:
                Path(part).unlink(missing_ok=True)
        else:
            files = self._files()
            files.makedirs(self.url, exist_ok=True)
            try:
                files.put_file(str(path), part)
                files.mv(part, self._path(digest))
            except BaseException:
                with suppress(Exception):  # the store may be away; it goes by age then
                    files.rm_file(part)
                raise
        return digest

    def remove_parts(self) -> int:
        """Remove what writers that died have left, after a day; returns how many files that were."""
        files, root = open_store(self.url)
        try:
            parts = [path for path in files.ls(root, detail=False) if path.endswith(".part")]
        except FileNotFoundError:
            return 0
        old = [path for path in parts if age(files, path) > _ABANDONED_AFTER]
        for path in old:
            files.rm_file(path)
        return len(old)

    def exists(self, digest: str) -> bool:
        """Whether the store has a file of this digest."""
        path = self._path(digest)
        return Path(path).is_file() if self._local else bool(self._files().exists(path))

    def fetch(self, digest: str, cache: Path) -> Path:
        """The path of the file in the node's cache, which all its processes share.

        - The file is checked against its digest once, before it has its name in the cache.
        - Many processes may fetch at once.
        - ArtifactError if the file is missing or damaged in the store.
        """
        cached = cache / f"{digest}.artifact"
        if _DIGEST.fullmatch(digest) and cached.is_file():
            return cached
        path, part = self._path(digest), cache / f".{digest}.{uuid.uuid4().hex}.part"
        cache.mkdir(parents=True, exist_ok=True)
        try:
            try:
                self._get(path, part)
            except FileNotFoundError as error:
                raise ArtifactError(f"artifact {digest}", expected=f"a file in {self.shown}", found="none") from error
            if (found := sha256_of(part)) != digest:
                raise DamagedArtifactError(
                    f"artifact {digest} in {self.shown}",
                    expected="the content of its digest",
                    found=f"a damaged file (its digest is {found})",
                    todo="Delete that file and store the artifact again, or roll back to another release.",
                )
            part.chmod(0o444)
            os.replace(part, cached)
        finally:
            part.unlink(missing_ok=True)
        return cached

    def _path(self, digest: str) -> str:
        return f"{self.url}/{checked_digest(digest)}.artifact"

    def _get(self, path: str, part: Path) -> None:
        """Copy a file of the store to this machine, and sync it to the disk: one request, where the store is slow."""
        if self._local:
            with Path(path).open("rb") as source:
                _write(part, lambda target: shutil.copyfileobj(source, target, _CHUNK))
        else:
            self._files().get_file(path, str(part))
            with part.open("rb") as written:
                os.fsync(written.fileno())

    def _files(self) -> Any:
        return open_store(self.url)[0]


class StoreFolder:
    """A folder of an artifact store, in which small files are written and read as a whole."""

    def __init__(self, artifacts_url: str, name: str) -> None:
        self.url = f"{artifacts_url.removeprefix('file://').rstrip('/')}/{name}"
        self._local = "://" not in self.url

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""
        path = f"{self.url}/{name}"
        return Path(path).exists() if self._local else bool(self._files().exists(path))

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all. It replaces one of the same name."""
        path = f"{self.url}/{name}"
        if not self._local:
            self._files().pipe_file(path, content)
            return
        Path(self.url).mkdir(parents=True, exist_ok=True)
        part = Path(f"{self.url}/.{name}.{uuid.uuid4().hex}.part")
        try:
            part.write_bytes(content)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)

    def read(self, name: str) -> bytes | None:
        """The content of a file; None where there is none of this name."""
        path = f"{self.url}/{name}"
        try:
            return Path(path).read_bytes() if self._local else bytes(self._files().cat_file(path))
        except FileNotFoundError:
            return None

    def _files(self) -> Any:
        return open_store(self.url)[0]


def is_digest(text: str) -> bool:
    """Whether a text is the digest of an artifact."""
    return bool(_DIGEST.fullmatch(text))


def checked_digest(digest: str) -> str:
    """The digest; ArtifactError if it is none, so that no other path can be made of it."""
    if not is_digest(digest):
        raise ArtifactError("artifact digest", expected="64 hexadecimal digits", found=repr(digest))
    return digest


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, fill: Callable[[BinaryIO], None]) -> None:
    """Write a new file, and sync it to the disk."""
    with path.open("xb") as target:
        fill(target)
        target.flush()
        os.fsync(target.fileno())
