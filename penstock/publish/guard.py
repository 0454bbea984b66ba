"""The checks before a load: names and columns, number of rows, the disk, and that PROD follows TEST."""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import psycopg

from penstock.declare.table import ReplicatedTable
from penstock.postgres.book import Book
from penstock.postgres.pointer import Pointer, pointer
from penstock.replicated.error import PublishError
from penstock.snapshots.store import Snapshot

OWN_TABLES = frozenset({"current", "publication", "physical_table"})
_ROW_BYTES = 28
"""Tuple header and item pointer: https://www.postgresql.org/docs/current/storage-page-layout.html"""
_INDEX_ENTRY_BYTES = 24


def check_declaration(snapshot: Snapshot, table: ReplicatedTable) -> None:
    """PublishError if the snapshot lacks what the declaration of the table needs."""
    name = table.name
    if not name or "\0" in name or len(name.encode()) > 63 or name in OWN_TABLES:
        raise PublishError(
            f"table name {name!r}",
            expected=f"1 to 63 bytes, and none of {', '.join(sorted(OWN_TABLES))}",
            found=repr(name),
            todo="Rename the replicated table.",
        )
    if table.key != snapshot.key:
        raise PublishError(
            f"key of table {name!r}",
            expected=f"{', '.join(table.key)} as declared",
            found=f"{', '.join(snapshot.key)} in snapshot {snapshot.id[:12]}",
            todo="Extract the table again.",
        )
    wanted = {f"index of {name!r}": columns for columns in table.indexes}
    for lookup in table.lookups:
        columns = (*lookup.key, *(column.name for column in lookup.columns))
        wanted[f"lookup {lookup.name!r} of {name!r}"] = columns + ((lookup.as_of[0],) if lookup.as_of else ())
    for thing, columns in wanted.items():
        for column in columns:
            if column not in snapshot.schema.names:
                raise PublishError(
                    thing,
                    expected=f"a column among {', '.join(snapshot.schema.names)}",
                    found=repr(column),
                    todo="Select the column in the table's query or correct the declaration.",
                )


def check_rows(snapshot: Snapshot, table: ReplicatedTable, book: Book, now: Pointer | None) -> None:
    """PublishError if the snapshot has fewer rows than declared, or far fewer than the book has now."""
    if snapshot.rows < table.minimum_rows:
        raise PublishError(
            f"rows of table {table.name!r}",
            expected=f"at least {table.minimum_rows}",
            found=str(snapshot.rows),
            todo="Look at the extract; nothing was changed.",
        )
    if now is not None and snapshot.rows < now.rows * (1 - table.largest_drop):
        raise PublishError(
            f"rows of table {table.name!r} in book {book.name!r}",
            expected=f"at most {table.largest_drop:.0%} fewer than the current {now.rows}",
            found=str(snapshot.rows),
            todo="Look at the extract; nothing was changed. If the drop is right, raise largest_drop once.",
        )


def in_order(books: Iterable[Book]) -> list[Book]:
    """The books with TEST before PROD."""
    return sorted(books, key=lambda book: book.name != "test")


def check_test_first(snapshot: Snapshot, table: ReplicatedTable, books: Sequence[Book], proven_in: Book | None) -> None:
    """PublishError if PROD takes part and TEST does not, unless this snapshot is current in TEST."""
    names = {book.name for book in books}
    if "prod" not in names or "test" in names:
        return
    if proven_in is not None:
        with proven_in.connect() as connection:
            now = pointer(connection, table.name)
        if now is not None and now.snapshot == snapshot.id:
            return
        found = f"snapshot {now.snapshot[:12]} current in TEST" if now else "no such table in TEST"
    else:
        found = "no TEST book to ask"
    raise PublishError(
        f"publish of {table.name!r} to PROD",
        expected=f"snapshot {snapshot.id[:12]} current in TEST first",
        found=found,
        todo="Publish to TEST, or to both at once.",
    )


def estimated_bytes(snapshot: Snapshot, table: ReplicatedTable) -> int:
    """The bytes of table and indexes, correct to about a quarter: values as they are sent, headers, index entries."""
    rows, sent = snapshot.file_rows, snapshot.manifest.stream_bytes
    if snapshot.base is not None:
        rows, sent = snapshot.rows, sent + snapshot.base.manifest.stream_bytes
    values = max(sent - rows * (4 * len(snapshot.schema) + 2), 0)
    index_columns = len(table.key) + sum(len(columns) for columns in table.indexes)
    entries = rows * _INDEX_ENTRY_BYTES * (1 + len(table.indexes))
    return values + rows * _ROW_BYTES + entries + values * index_columns // len(snapshot.schema)


def check_space(connection: psycopg.Connection, snapshot: Snapshot, table: ReplicatedTable) -> None:
    """PublishError with the figures if the load would not fit. A server on another machine is not checked."""
    folder = _data_folder(connection)
    if folder is None:
        return
    needed, free = estimated_bytes(snapshot, table), shutil.disk_usage(folder).free
    if needed > free:
        raise PublishError(
            f"disk of the book for table {table.name!r}",
            expected=f"about {needed / 1e6:,.0f} MB free in {folder}",
            found=f"{free / 1e6:,.0f} MB",
            todo="Free space or move the book; nothing was changed.",
        )


def _data_folder(connection: psycopg.Connection) -> Path | None:
    """The server's data folder; None if it is on another machine, or this role may not read where it is."""
    host = connection.info.host
    if not (host.startswith("/") or host in {"", "localhost", "127.0.0.1", "::1"}):
        return None
    try:
        row = connection.execute("SHOW data_directory").fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return None
    folder = Path(row[0]) if row else None
    try:
        # The same path can mean another disk inside a container: only a folder with this server's files counts.
        return folder if folder and (folder / "PG_VERSION").exists() else None
    except OSError:
        return None
