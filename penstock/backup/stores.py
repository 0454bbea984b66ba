"""Copies of the stores. What is in them never changes, so a copy only adds what the target lacks."""

from typing import Any

from penstock.backup.dump import BackupError
from penstock.store_url import open_store

CHUNK = 1 << 20


def copy_store(source: str, target: str) -> tuple[int, int]:
    """Copy what a target lacks of a store, both a folder or URL; returns how many files it has, and how many are new.

    A file that is half there, of another size, is copied again.
    """
    reading, root = open_store(source)
    writing, place = open_store(target)
    files = _sizes(reading, root)
    there = _sizes(writing, place)
    new = [name for name, size in files.items() if there.get(name) != size]
    for name in sorted(new, key=lambda name: (name.endswith("manifest.json"), name)):
        path = f"{place}/{name}"
        writing.makedirs(path.rpartition("/")[0], exist_ok=True)
        with reading.open(f"{root}/{name}", "rb") as content, writing.open(path, "wb") as copy:
            while chunk := content.read(CHUNK):
                copy.write(chunk)
        if writing.size(path) != files[name]:
            raise BackupError(
                path, expected=f"{files[name]} bytes", found=f"{writing.size(path)}", todo="Run it again."
            )
    return len(files), len(new)


def is_empty(url: str) -> bool:
    """Whether a store holds no file."""
    files, root = open_store(url)
    return not _sizes(files, root)


def _sizes(files: Any, root: str) -> dict[str, int]:
    """Path below the root -> bytes; empty where there is no root."""
    try:
        found = files.find(root, detail=True)
    except FileNotFoundError:
        return {}
    start = len(root.rstrip("/")) + 1
    return {path[start:]: int(info["size"]) for path, info in found.items()}
