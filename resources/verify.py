"""Verify: whether what the books hold is to the bit what the snapshots hold."""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from resources.book import Book
from resources.book_digest import catalog_schema, table_digest
from resources.column_types import postgres_columns, schema_text
from resources.copy_stream import CopyEncoder
from resources.difference import first_difference
from resources.settings import BookName
from resources.snapshots import Snapshot, SnapshotError, SnapshotStore


@dataclass(frozen=True)
class Verification:
    """One current table of one book. `digest` is that of what the book holds now, empty if it cannot be read.

    `equal` says that the book holds the snapshot that its pointer names, and that the store still has it, unharmed.
    `finding` tells what differs, empty where nothing does.
    """

    book: BookName
    table: str
    snapshot: str
    rows: int
    digest: str
    equal: bool
    finding: str = ""


def verify(books: Sequence[Book], store: SnapshotStore, tables: Sequence[str] = ()) -> list[Verification]:
    """Recompute the digest of every current table (or those named) in the books and in the store."""
    stored: dict[str, str] = {}
    found = []
    for book in books:
        with book.connect(autocommit=True) as connection:
            for table, snapshot_id, physical, rows in _pointers(connection, tables):
                if snapshot_id not in stored:
                    stored[snapshot_id] = _finding_in_store(store, snapshot_id)
                digest, finding = _finding_in_book(connection, store, snapshot_id, physical)
                finding = "; ".join(part for part in (finding, stored[snapshot_id]) if part)
                found.append(Verification(book.name, table, snapshot_id, rows, digest, not finding, finding))
    return found


def snapshot_digest(snapshot: Snapshot) -> str:
    """The id of what the stored file holds now."""
    encoder = CopyEncoder(snapshot.schema)
    for _ in encoder.chunks(snapshot.batches()):
        pass
    return encoder.digest.id(schema_text(postgres_columns(snapshot.schema), snapshot.key))


def _pointers(connection: psycopg.Connection, tables: Sequence[str]) -> list[tuple[str, str, str, int]]:
    return connection.execute(
        """SELECT table_name, snapshot, physical, rows FROM replicated.current
           WHERE cardinality(%(tables)s::text[]) = 0 OR table_name = ANY(%(tables)s) ORDER BY table_name""",
        {"tables": list(tables)},
    ).fetchall()


def _finding_in_book(
    connection: psycopg.Connection, store: SnapshotStore, snapshot_id: str, physical: str
) -> tuple[str, str]:
    """The digest of the physical table and what is wrong with it.

    Rows are read as they lie, and only if that gives another digest in the order of the key: a row that was
    written again unchanged lies elsewhere without differing.
    """
    try:
        schema = catalog_schema(connection, physical)
        digest = table_digest(connection, physical).id(schema)
        if digest == snapshot_id:
            return digest, ""
        snapshot = store.open(snapshot_id)
        if schema != schema_text(postgres_columns(snapshot.schema), snapshot.key):
            return digest, first_difference(connection, physical, snapshot)
        digest = table_digest(connection, physical, snapshot.key).id(schema)
        if digest == snapshot_id:
            return digest, ""
        return digest, first_difference(connection, physical, snapshot)
    except SnapshotError:
        return digest, "differs from its digest; the snapshot to compare with is gone from the store"
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        return "", str(error.diag.message_primary)


def _finding_in_store(store: SnapshotStore, snapshot_id: str) -> str:
    try:
        found = snapshot_digest(store.open(snapshot_id))
    except SnapshotError as error:
        return str(error)
    except (OSError, ValueError) as error:
        return f"the stored snapshot cannot be read: {error}"
    return "" if found == snapshot_id else f"the stored snapshot has changed, its digest is now {found}"
