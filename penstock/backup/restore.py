"""A backup brought back into an empty place: everything is checked before anything is written."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from penstock.backup.backup import BACKUP, Backup, check_artifacts, sha256_of
from penstock.backup.dump import BackupError, restore, roles_are_there
from penstock.backup.stores import copy_store, is_empty
from penstock.postgres.book import Books
from penstock.postgres.migrations import newest
from penstock.postgres.place import demand_apart


class RestoreRecord(msgspec.Struct, frozen=True):
    """What was brought back; `without_roles` names books whose owners and grants the new server does not have."""

    backup: Backup
    files: int
    without_roles: tuple[str, ...]


def bring_back(both: Books, stores: Mapping[str, str], folder: Path, name: str = "") -> RestoreRecord:
    """Fill empty books and stores, by their URLs, from a backup, by default the newest of a folder.

    BackupError with every fault at once, and nothing changed, where a book or store is not empty, a dump is not what
    was written, or the books are newer than this code.
    """
    backup = find(folder, name)
    place = folder / backup.name
    faults = [*_faults_of_dumps(backup, place), *_faults_of_targets(both, stores)]
    if faults:
        raise BackupError("Nothing was restored.\n" + "\n".join(faults))
    check_artifacts(backup, str(folder / "artifacts"))
    counts = [copy_store(str(folder / store), url) for store, url in stores.items()]
    without = []
    for book in both:
        owners = roles_are_there(book, backup.books[book.name].roles)
        restore(book, place / f"{book.name}.dump", owners=owners)
        without += [] if owners else [book.name]
    return RestoreRecord(backup, sum(files for files, _ in counts), tuple(without))


def find(folder: Path, name: str = "") -> Backup:
    """A backup by its name, by default the newest; BackupError where there is none."""
    found = {path.parent.name: path for path in folder.glob(f"*/{BACKUP}")}
    if not found or (name and name not in found):
        listed = ", ".join(sorted(found)) or "none"
        raise BackupError(f"backup {name}".strip() + f" in {folder}", expected="a finished one", found=listed)
    path = found[name or max(found)]
    try:
        return msgspec.json.decode(path.read_bytes(), type=Backup)
    except msgspec.DecodeError as error:
        raise BackupError(str(path), expected="what `penstock backup` wrote", found=str(error)) from None


def _faults_of_dumps(backup: Backup, place: Path) -> list[str]:
    faults = []
    for name, written in backup.books.items():
        path = place / f"{name}.dump"
        if not path.exists():
            faults.append(f"{path} is missing.")
        elif sha256_of(path) != written.sha256:
            faults.append(f"{path} is not what was written: its SHA-256 differs.")
        if written.version > newest():
            todo = "Install the newer Penstock."
            faults.append(f"book {name!r} is of version {written.version}, this Penstock knows {newest()}. {todo}")
    return faults


def _faults_of_targets(both: Books, stores: Mapping[str, str]) -> list[str]:
    todo = "Name an empty one."
    demand_apart({book.name: book.place() for book in both})
    faults = [f"book {book.name!r} is not empty. {todo}" for book in both if book.version() is not None]
    return faults + [
        f"the {store} store {url} is not empty. {todo}" for store, url in stores.items() if not is_empty(url)
    ]
