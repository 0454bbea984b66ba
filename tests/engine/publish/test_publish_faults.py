"""Killed anywhere, nothing lost: the current table stays whole, and the next publish succeeds and cleans up."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest

from penstock.postgres.book import Book
from penstock.publish.publish import publish
from penstock.replicated.error import PublishError
from penstock.snapshots.store import Recipe, Snapshot, SnapshotError, SnapshotStore
from penstock.verify.verify import verify
from tests.checkout import ROOT
from tests.engine.publishing import NOON, declared, numbered, relations, rows_of, write

ROWS = 20_000


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(str(tmp_path / "snapshots"))


@pytest.fixture
def current(store: SnapshotStore, book: Book) -> Snapshot:
    """What is current before anything goes wrong."""
    snapshot = write(store, numbered(10))
    publish(snapshot, declared(), [book], who="me")
    return snapshot


def assert_whole_and_publishable(store: SnapshotStore, book: Book, current: Snapshot) -> None:
    (found,) = verify([book], store)
    assert found.equal
    assert found.snapshot == current.id
    publish(write(store, numbered(11)), declared(), [book], who="me")
    assert len(rows_of(book, "numbers")) == 11
    assert len(relations(book)) == 2


def publisher(store: SnapshotStore, book: Book, snapshot: Snapshot) -> "subprocess.Popen[bytes]":
    """Another process that publishes the snapshot and says when it starts to."""
    script = f"""
        from tests.engine.publishing import declared
        from penstock.postgres.book import Book
        from penstock.publish.publish import publish
        from penstock.snapshots.store import SnapshotStore
        snapshot = SnapshotStore({store.url!r}).open({snapshot.id!r})
        print("ready", flush=True)
        publish(snapshot, declared(indexes=[("part",)]), [Book("test", {book.url!r})], who="other")
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


@pytest.mark.slow
def test_a_publisher_killed_at_any_moment(store: SnapshotStore, book: Book, current: Snapshot) -> None:
    snapshot = write(store, numbered(ROWS))
    moments, killed = random.Random(1), 0
    for _ in range(4):
        process = publisher(store, book, snapshot)
        time.sleep(moments.uniform(0, 0.25))
        process.kill()
        killed += process.wait() == -signal.SIGKILL
        process.stdout.close()
        now = {10: current, ROWS: snapshot}[len(rows_of(book, "numbers"))]
        assert verify([book], store)[0].snapshot == now.id
        publish(current, declared(), [book], who="me")
    assert killed
    with book.connect() as connection:
        logged = connection.execute("SELECT physical FROM replicated.publication").fetchall()
    assert relations(book) <= {name for (name,) in logged}
    publish(snapshot, declared(), [book], who="me")
    assert len(rows_of(book, "numbers")) == ROWS


def backend(book: Book, *, other_than: int) -> int:
    """The server process that copies; waits for it."""
    with book.connect(autocommit=True) as connection:
        for _ in range(500):
            row = connection.execute(
                "SELECT pid FROM pg_stat_progress_copy WHERE datname = current_database() AND pid <> %s", (other_than,)
            ).fetchone()
            if row:
                return int(row[0])
            time.sleep(0.01)
    raise AssertionError("nobody copies")


def test_the_connection_dropped_while_loading(store: SnapshotStore, book: Book, current: Snapshot) -> None:
    snapshot = write(store, numbered(ROWS))
    cut = threading.Event()

    def cut_it(stage: str, done: int, of: int) -> None:
        if stage == "loading" and not cut.is_set():
            cut.set()
            with book.connect(autocommit=True) as connection:
                connection.execute("SELECT pg_terminate_backend(%s)", (backend(book, other_than=0),))

    with pytest.raises(psycopg.OperationalError):
        publish(snapshot, declared(), [book], who="me", progress=cut_it)
    assert cut.is_set()
    assert len(relations(book)) == 1
    assert_whole_and_publishable(store, book, current)


def test_one_book_gone_leaves_the_other_as_it_was(store: SnapshotStore, book: Book, current: Snapshot) -> None:
    gone = Book("prod", book.url.replace("/t", "/nowhere_"))
    with pytest.raises(psycopg.OperationalError):
        publish(write(store, numbered(ROWS)), declared(), [book, gone], who="me")
    assert_whole_and_publishable(store, book, current)


def test_a_snapshot_file_damaged_after_it_was_written(store: SnapshotStore, book: Book, current: Snapshot) -> None:
    snapshot = write(store, numbered(ROWS))
    other = write(store, numbered(ROWS, offset=1))
    Path(snapshot.paths[0]).write_bytes(Path(other.paths[0]).read_bytes())
    with pytest.raises(SnapshotError, match=r"in the store: expected content with digest"):
        publish(snapshot, declared(), [book], who="me")
    Path(snapshot.paths[0]).write_bytes(b"PAR1")
    with pytest.raises(pa.ArrowInvalid):
        publish(snapshot, declared(), [book], who="me")
    assert_whole_and_publishable(store, book, current)


def test_a_warehouse_that_fails_midway_changes_nothing(store: SnapshotStore, book: Book, current: Snapshot) -> None:
    def failing() -> Iterator[pa.RecordBatch]:
        yield numbered(10).to_batches()[0]
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        store.write(
            "numbers",
            pa.RecordBatchReader.from_batches(numbered(0).schema, failing()),
            Recipe("", ("key",)),
            as_of=NOON,
        )
    assert store.latest("numbers") is not None
    assert_whole_and_publishable(store, book, current)


def test_two_publishers_of_one_table_at_once(store: SnapshotStore, book: Book) -> None:
    snapshots = [write(store, numbered(ROWS + i)) for i in range(2)]
    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(publish, snapshot, declared(), [book], who="me") for snapshot in snapshots * 2]
        published = [future.result()[0] for future in running]
    assert not all(one.skipped for one in published)
    assert verify([book], store)[0].equal
    assert len(rows_of(book, "numbers")) in {ROWS, ROWS + 1}


def test_a_publisher_that_verifies_wrong_bytes_stops(
    store: SnapshotStore, book: Book, current: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    from penstock.replicated.physical_table import PhysicalTable

    finish = PhysicalTable.finish

    def corrupt(self: PhysicalTable, connection: psycopg.Connection) -> None:
        finish(self, connection)
        connection.execute(f'UPDATE replicated."{self.name}" SET value = 1 WHERE key = 3')

    monkeypatch.setattr(PhysicalTable, "finish", corrupt)
    with pytest.raises(PublishError, match="was not made current"):
        publish(write(store, numbered(100)), declared(), [book], who="me")
    monkeypatch.undo()
    assert_whole_and_publishable(store, book, current)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk(store: SnapshotStore, book: Book, current: Snapshot) -> None:
    with book.connect() as connection:
        folder = connection.execute("SHOW data_directory").fetchone()
    assert folder is not None
    small = Path(folder[0]).with_name("small")  # beside its data, where the server's account surely gets to
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let us mount")
    try:
        with book.connect(autocommit=True) as connection:
            os.chown(small, os.stat(folder[0]).st_uid, os.stat(folder[0]).st_gid)
            connection.execute(f"CREATE TABLESPACE small LOCATION '{small}'")
        squeezed = Book("test", f"{book.url}&options=-c%20default_tablespace%3Dsmall")
        with pytest.raises(psycopg.errors.DiskFull):
            publish(write(store, numbered(100_000)), declared(), [squeezed], who="me")
        assert len(relations(book)) == 1
        assert_whole_and_publishable(store, book, current)
    finally:
        with book.connect(autocommit=True) as connection:
            connection.execute("DROP TABLESPACE IF EXISTS small")
        subprocess.run(["umount", str(small)], check=False)
        small.rmdir()
