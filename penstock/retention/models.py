"""Which artifacts, estimators and cards the artifact store may drop.

What stays: what serves, what a rollback could make current, what is young, and what replay may need."""

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from penstock.artifact.file import read_header
from penstock.journal.reading import KEEP_DAYS
from penstock.postgres.book import Book
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.entry import artifacts_in_reach
from penstock.store_url import open_store, written_at

Kind = Literal["artifact", "estimator", "card"]
_FOLDERS: tuple[tuple[Kind, str, str], ...] = (
    ("artifact", "", ".artifact"),
    ("estimator", "estimators", ".artifact"),
    ("card", "cards", ".json"),
)
_LATE = timedelta(minutes=5)
"""Slack after a switch: requests that had begun before it may be answered by the release before."""


@dataclass(frozen=True)
class ModelRetention:
    """What stays, in any book:

    - of each model the current release, and the `previous` releases before it;
    - every release that was current within the last `replayable`;
    - any file younger than `young`, such as that of a candidate that was never released;
    - the estimator of an artifact that stays."""

    previous: int = 5
    young: timedelta = timedelta(days=30)
    replayable: timedelta = timedelta(days=KEEP_DAYS)


@dataclass(frozen=True)
class StoredFile:
    """A file of the artifact store, named by the digest of an artifact or estimator."""

    kind: Kind
    digest: str
    path: str
    bytes: int
    written: datetime


def droppable(url: str, books: Iterable[Book], policy: ModelRetention) -> list[StoredFile]:
    """The files of the artifact store at `url` that can be dropped now, oldest first. Changes nothing."""
    files, root = open_store(url)
    stored = list(_stored(files, root))
    kept = {digest for book in books for digest in _needed(book, policy)}
    young = datetime.now(UTC) - policy.young
    kept |= {file.digest for file in stored if file.written > young}
    for file in stored:
        if file.kind == "artifact" and file.digest in kept:
            kept |= _estimator_of(files, file.path)
    return sorted((file for file in stored if file.digest not in kept), key=lambda file: file.written)


def drop(
    url: str, books: Iterable[Book], found: Sequence[StoredFile], policy: ModelRetention, *, cache: Path
) -> list[StoredFile]:
    """Drop the files of `found` that are still not needed, and this node's copies of them. Returns what was dropped.

    A card is dropped before its artifact, so that no card is left without one.
    """
    files, _ = open_store(url)
    still = {file.path for file in droppable(url, books, policy)}
    going = [file for file in found if file.path in still]
    for file in sorted(going, key=lambda file: file.kind != "card"):
        if files.exists(file.path):
            files.rm_file(file.path)
        if file.kind == "artifact":
            (cache / f"{file.digest}.artifact").unlink(missing_ok=True)
    ArtifactStore(url).remove_parts()
    return going


def _needed(book: Book, policy: ModelRetention) -> set[str]:
    with book.connect() as connection:
        return artifacts_in_reach(connection, policy.previous, policy.replayable + _LATE)


def _stored(files: Any, root: str) -> Iterator[StoredFile]:
    files.invalidate_cache()
    for kind, folder, suffix in _FOLDERS:
        place = posixpath.join(root, folder) if folder else root
        if not files.exists(place):
            continue
        for entry in files.ls(place, detail=True):
            name = posixpath.basename(entry["name"])
            if entry["type"] == "file" and name.endswith(suffix) and not name.startswith("."):
                written = written_at(files, entry["name"])
                yield StoredFile(kind, name.removesuffix(suffix), entry["name"], int(entry["size"]), written)


def _estimator_of(files: Any, path: str) -> set[str]:
    with files.open(path, "rb") as file:
        named = read_header(file, path).metadata.get("estimator")
    return {named} if isinstance(named, str) else set()
