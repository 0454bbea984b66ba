"""Copies of the stores. What is in them never changes, so a copy only adds what the target lacks."""

import re
from typing import Any

from penstock.backup.dump import BackupError
from penstock.store_url import open_store

CHUNK = 1 << 20
_UNFINISHED = re.compile(r"^(drafts|parts)/|\.(draft|part)$")


def copy_store(source: str, target: str) -> tuple[int, int]:
    """Copy what a target lacks of a store, both a folder or URL; returns how many files it has, and how many are new.

    - A file that is half there, of another size, is copied again.
    - What writers have not finished is not copied. What is dropped meanwhile is left out: a snapshot's entries in the
      history of its tables are dropped first, then its manifest, then its rows, and are copied the other way round.
    """
    reading, root = open_store(source)
    writing, place = open_store(target)
    files = _sizes(reading, root)
    there = _sizes(writing, place)
    new = [name for name, size in files.items() if there.get(name) != size]
    dropped = 0
    for name in sorted(new, key=lambda name: (name.startswith("names/"), name.endswith("manifest.json"), name)):
        path = f"{place}/{name}"
        try:
            content = reading.open(f"{root}/{name}", "rb")
        except FileNotFoundError:
            dropped += 1
            continue
        writing.makedirs(path.rpartition("/")[0], exist_ok=True)
        with content, writing.open(path, "wb") as copy:
            while chunk := content.read(CHUNK):
                copy.write(chunk)
        if writing.size(path) != files[name]:
            raise BackupError(
                path, expected=f"{files[name]} bytes", found=f"{writing.size(path)}", todo="Run it again."
            )
    return len(files) - dropped, len(new) - dropped


def is_empty(url: str) -> bool:
    """Whether a store holds no file."""
    files, root = open_store(url)
    return not _sizes(files, root)


def _sizes(files: Any, root: str) -> dict[str, int]:
    """Path below the root -> bytes, of what is whole; empty where there is no root."""
    try:
        found = files.find(root, detail=True)
    except FileNotFoundError:
        return {}
    start = len(root.rstrip("/")) + 1
    sizes = {path[start:]: int(info["size"]) for path, info in found.items()}
    return {name: size for name, size in sizes.items() if not _UNFINISHED.search(name)}
