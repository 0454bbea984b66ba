"""Verify: whether what the books hold is to the bit what the snapshots hold."""

from collections.abc import Sequence
from dataclasses import dataclass

from penstock.postgres.book import Book
from penstock.postgres.pointer import Pointed
from penstock.settings import BookName
from penstock.snapshots.proof import Proof
from penstock.snapshots.store import SnapshotError, SnapshotStore
from penstock.verify.book_proof import prove


@dataclass(frozen=True)
class Verification:
    """One current table of one book. `digest` is that of what the book holds now, empty if it cannot be read.

    `equal` says that the book holds the snapshot that its pointer names, that the table's views are what they should
    be, and that the store still has the snapshot, unharmed. `finding` tells what differs, empty where nothing does.
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
    stored: dict[str, tuple[str, str]] = {}
    found = []
    for book in books:
        with book.connect(autocommit=True) as connection:
            rows = connection.execute(
                """SELECT table_name, snapshot, physical, rows FROM replicated.current
                   WHERE cardinality(%(tables)s::text[]) = 0 OR table_name = ANY(%(tables)s) ORDER BY table_name""",
                {"tables": list(tables)},
            ).fetchall()
            for pointed in (Pointed(*row) for row in rows):
                if pointed.snapshot not in stored:
                    stored[pointed.snapshot] = _in_store(store, pointed.snapshot)
                content, in_store = stored[pointed.snapshot]
                digest, in_book = prove(connection, store, pointed, content)
                finding = "; ".join(part for part in (in_book, in_store) if part)
                found.append(
                    Verification(book.name, pointed.table, pointed.snapshot, pointed.rows, digest, not finding, finding)
                )
    return found


def _in_store(store: SnapshotStore, snapshot_id: str) -> tuple[str, str]:
    """The digest of the COPY stream of all rows of the stored snapshot, and what is wrong with it."""
    try:
        return Proof(store.open(snapshot_id)).run().encoder.digest.stream, ""
    except SnapshotError as error:
        return "", str(error)
    except (OSError, ValueError) as error:
        return "", f"the stored snapshot cannot be read: {error}"
