"""A backup: a folder with the stores, to which each backup adds what is new, and a folder of dumps for each."""

import hashlib
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psycopg
from psycopg import sql

from penstock.backup.dump import BackupError, dump, owners_and_grantees
from penstock.backup.stores import copy_store
from penstock.postgres.book import Book, Books
from penstock.postgres.pointer import pointers
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.entry import CURRENT_RELEASES, CurrentRelease
from penstock.snapshots.store import SnapshotStore

BACKUP = "backup.json"


class BookDump(msgspec.Struct, frozen=True):
    """One book in a backup: the version of its schema, its dump's SHA-256, the roles that it names, and what of the
    stores its current releases and tables need."""

    version: int
    sha256: str
    roles: list[str]
    artifacts: list[str]
    snapshots: list[str]


class Backup(msgspec.Struct, frozen=True):
    """One backup. `at` is the instant of both books; the stores hold all that was written until then;
    `missing` names current snapshots that the store had no more: their rows are in the dump all the same."""

    name: str
    at: datetime
    books: dict[str, BookDump]
    files: int = 0
    new_files: int = 0
    missing: tuple[str, ...] = ()


def back_up(both: Books, stores: Mapping[str, str], folder: Path) -> Backup:
    """Copy both books as of one instant, and the stores, by their URLs, below a folder.

    It is a backup once its backup.json is there.

    A snapshot or artifact is stored before a book names it, and never changed: stores that are copied after that
    instant have all that the books name.
    """
    at = datetime.now(UTC)
    name = f"{at:%Y%m%dT%H%M%SZ}"
    place, made = folder / name, folder / f"{name}.part"
    if place.exists():
        raise BackupError(str(place), expected="no backup of this second", found="one", todo="Run it again.")
    made.mkdir(parents=True)
    try:
        found = _dump(both, made)
        counts = [copy_store(url, str(folder / store)) for store, url in stores.items()]
        files, new = (sum(count) for count in zip(*counts, strict=True))
        done = Backup(name, at, found, files, new, missing_snapshots(found, str(folder / "snapshots")))
        check_artifacts(done, str(folder / "artifacts"))
        (made / BACKUP).write_bytes(msgspec.json.format(msgspec.json.encode(done), indent=1))
        made.rename(place)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return done


def _dump(both: Books, made: Path) -> dict[str, BookDump]:
    """Dump the books from snapshots that were taken one right after the other, before either dump begins."""
    found: dict[str, BookDump] = {}
    with ExitStack() as stack:
        versions = {book.name: _version(book) for book in both}
        opened = [(book, *_frozen(book, stack)) for book in both]
        for book, connection, snapshot in opened:
            path = made / f"{book.name}.dump"
            dump(book, snapshot, path)
            found[book.name] = BookDump(
                versions[book.name],
                sha256_of(path),
                owners_and_grantees(connection),
                sorted({CurrentRelease(*row).artifact for row in connection.execute(CURRENT_RELEASES)}),
                sorted({pointer.snapshot for pointer in pointers(connection).values()}),
            )
    return found


def _version(book: Book) -> int:
    number = book.version()
    if number is None:
        todo = "Run `penstock migrate`, or set its URL."
        raise BackupError(f"book {book.name!r}", expected="a book", found="an empty database", todo=todo)
    return number


def _frozen(book: Book, stack: ExitStack) -> tuple[psycopg.Connection, str]:
    connection = stack.enter_context(book.connect())
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    try:
        if tables := [sql.SQL(name) for (name,) in connection.execute(_TABLES)]:
            connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(sql.SQL(", ").join(tables)))
    except psycopg.errors.UndefinedTable as error:
        found = f"{str(error).splitlines()[0]}, which was dropped in that moment"
        raise BackupError(f"book {book.name!r}", found=found, todo="Run it again.") from None
    row = connection.execute("SELECT pg_export_snapshot()").fetchone()
    return connection, str(row[0]) if row else ""


_TABLES = """SELECT c.oid::regclass::text FROM pg_class c
    WHERE c.relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('app', 'replicated'))
        AND c.relkind IN ('r', 'p')"""
"""What no retention may drop until both dumps have ended: that of PROD begins when TEST's has."""


def check_artifacts(backup: Backup, url: str) -> None:
    """BackupError, which names what is missing, unless a store holds the artifacts of the books' current releases."""
    store = ArtifactStore(url)
    missing = [one[:12] for one in _named(backup.books, "artifacts") if not store.exists(one)]
    if missing:
        expected = "the artifacts of all current releases"
        raise BackupError(f"artifact store {url}", expected=expected, found=f"none of {', '.join(missing)}")


def missing_snapshots(found: Mapping[str, BookDump], url: str) -> tuple[str, ...]:
    """The ids of current snapshots that a store does not hold."""
    store = SnapshotStore(url)
    return tuple(one for one in _named(found, "snapshots") if not store.exists(one))


def _named(found: Mapping[str, BookDump], kind: str) -> list[str]:
    return sorted({one for book in found.values() for one in getattr(book, kind)})


def sha256_of(path: Path) -> str:
    """The digest of a file, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
