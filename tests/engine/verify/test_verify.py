"""Verify: whatever is changed in a book or in the store is found, and nothing else is."""

from pathlib import Path

import pytest

from penstock.postgres.book import Book
from penstock.publish.publish import publish
from penstock.snapshots.store import SnapshotStore
from penstock.verify.verify import Verification, verify
from tests.engine.publishing import declared, numbered, write


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(str(tmp_path / "snapshots"))


def tampered(store: SnapshotStore, book: Book, statement: str) -> Verification:
    (published,) = publish(write(store, numbered(2000)), declared(), [book], who="me")
    with book.connect() as connection:
        if statement:
            connection.execute(statement.replace("THE_TABLE", f'replicated."{published.physical}"'))
    (found,) = verify([book], store)
    return found


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("UPDATE THE_TABLE SET value = value + 1 WHERE key = 77", "row 78, key=77, is changed"),
        ("UPDATE THE_TABLE SET text = '' WHERE key = 5 AND text IS NULL", "row 6, key=5, is changed"),
        ("DELETE FROM THE_TABLE WHERE key = 1000", "row 1001, key=1000, is changed, missing"),
        ("DELETE FROM THE_TABLE WHERE key = 1999", "row 2000, key=1999, is missing"),
        ("INSERT INTO THE_TABLE VALUES (2000, 1, 1, 'x')", "rows too many after the 2000"),
        ("INSERT INTO THE_TABLE VALUES (-1, 1, 1, 'x')", "row 1, key=0, is changed, missing, or after one too many"),
        ("TRUNCATE THE_TABLE", "row 1, key=0, is missing"),
        ("ALTER TABLE THE_TABLE ADD COLUMN more int", "the columns differ"),
        ("DROP VIEW replicated.numbers; ALTER TABLE THE_TABLE ALTER value TYPE int", "the columns differ"),
        ("DROP VIEW replicated.numbers; ALTER TABLE THE_TABLE RENAME value TO other", "the columns differ"),
        ("DROP VIEW replicated.numbers; ALTER TABLE THE_TABLE DROP key", "the columns differ"),
        ("DROP TABLE THE_TABLE CASCADE", "does not exist"),
    ],
)
def test_tampering_is_found(store: SnapshotStore, book: Book, statement: str, finding: str) -> None:
    found = tampered(store, book, statement)
    assert not found.equal
    assert finding in found.finding
    assert found.digest != found.snapshot


@pytest.mark.parametrize("statement", ["", "UPDATE THE_TABLE SET value = value WHERE key = 3"])
def test_what_is_equal_is_called_equal(store: SnapshotStore, book: Book, statement: str) -> None:
    found = tampered(store, book, statement)
    assert (found.equal, found.finding, found.digest) == (True, "", found.snapshot)


def test_a_damaged_or_missing_snapshot_file_is_found(store: SnapshotStore, book: Book) -> None:
    snapshot = write(store, numbered(2000))
    publish(snapshot, declared(), [book], who="me")
    file = Path(snapshot.paths[0])
    stored = file.read_bytes()
    other = write(SnapshotStore(str(file.parents[3] / "other")), numbered(2000, offset=1))
    file.write_bytes(Path(other.paths[0]).read_bytes())
    assert "The stored file was changed" in verify([book], store)[0].finding
    file.write_bytes(stored[: len(stored) // 2])
    assert "cannot be read" in verify([book], store)[0].finding
    (file.parent / "manifest.json").unlink()
    assert "found none" in verify([book], store)[0].finding


def test_only_the_tables_asked_for_are_verified(store: SnapshotStore, book: Book) -> None:
    for name in ("one", "two"):
        publish(write(store, numbered(3), name), declared(name), [book], who="me")
    assert [found.table for found in verify([book], store, ["two"])] == ["two"]
