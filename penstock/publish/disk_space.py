"""Whether a load would fit on the book's disk, before it begins."""

import shutil
from pathlib import Path

import psycopg

from penstock.declare.table import ReplicatedTable
from penstock.replicated.error import PublishError
from penstock.snapshots.store import Snapshot

_ROW_BYTES = 28
"""Tuple header and item pointer: https://www.postgresql.org/docs/current/storage-page-layout.html"""
_INDEX_ENTRY_BYTES = 24


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
