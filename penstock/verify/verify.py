"""Verify: whether the books hold to the bit what the snapshots hold."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from penstock.postgres.book import Book
from penstock.postgres.pointer import pointers
from penstock.settings import BookName
from penstock.snapshots.proof import Proof
from penstock.snapshots.store import SnapshotError, SnapshotStore
from penstock.verify.book_proof import prove


@dataclass(frozen=True)
class Verification:
    """One current table of one book.

    - `digest`: the snapshot id of what the book holds now, empty if it cannot be read.
    - `equal`: the book holds the snapshot that its pointer names, the views of the table are what they should be, and
      the store has the snapshot unharmed.
    - `finding`: what differs, empty if nothing does.
    """

    book: BookName
    table: str
    snapshot: str
    rows: int
    digest: str
    equal: bool
    finding: str = ""


def verify(books: Iterable[Book], store: SnapshotStore, tables: Sequence[str] = ()) -> list[Verification]:
    """Compute the digest of every current table, or of `tables`, in the books and in the store."""
    stored: dict[str, tuple[str, str]] = {}
    found = []
    for book in books:
        with book.connect(autocommit=True) as connection:
            for table, pointer in pointers(connection).items():
                if tables and table not in tables:
                    continue
                if pointer.snapshot not in stored:
                    stored[pointer.snapshot] = _in_store(store, pointer.snapshot)
                content, in_store = stored[pointer.snapshot]
                digest, in_book = prove(connection, store, pointer, content)
                finding = "; ".join(part for part in (in_book, in_store) if part)
                found.append(
                    Verification(book.name, table, pointer.snapshot, pointer.rows, digest, not finding, finding)
                )
    return found


def _in_store(store: SnapshotStore, snapshot_id: str) -> tuple[str, str]:
    """The digest of the COPY stream of the stored snapshot, and what is wrong with it (empty if nothing)."""
    try:
        return Proof(store.open(snapshot_id)).run().encoder.digest.stream, ""
    except SnapshotError as error:
        return "", str(error)
    except (OSError, ValueError) as error:
        return "", f"the stored snapshot cannot be read: {error}"
