"""Snapshots and artifacts on S3: written whole, read back to the bit, and freed of what dead writers have left."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import ArtifactError, PenstockError
from penstock.postgres.book import Book
from penstock.publish.publish import publish
from penstock.releases import artifacts
from penstock.releases.artifacts import ArtifactStore
from penstock.snapshots import writer, writing
from penstock.snapshots.store import SnapshotStore
from penstock.store_url import open_store, shown_store
from tests.engine.publishing import declared, numbered, rows_of, write
from tests.engine.s3 import FaultyStore, faulty_store


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyStore]:
    with faulty_store(monkeypatch) as made:
        yield made


def files_in(url: str) -> list[str]:
    files, root = open_store(url)
    return sorted(path.removeprefix(f"{root}/") for path in files.find(root))


@pytest.mark.slow
def test_a_snapshot_on_s3_is_that_of_a_folder_and_publishes(bucket: FaultyStore, book: Book, tmp_path: Path) -> None:
    store, folder = SnapshotStore(f"{bucket.url}/snapshots"), SnapshotStore(str(tmp_path / "snapshots"))
    written = write(store, numbered(1000))
    assert written.id == write(folder, numbered(1000)).id
    publish(SnapshotStore(store.url).open(written.id), declared(), [book], who="me")
    assert len(rows_of(book, "numbers")) == 1000
    assert [one.id for one in store.history("numbers")] == [written.id]
    assert not any("draft" in path for path in files_in(store.url))
    assert len(files_in(store.url)) == 3


@pytest.mark.slow
def test_drafts_of_another_machine_go_by_their_age_on_every_store(
    bucket: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SnapshotStore(f"{bucket.url}/snapshots")
    files, root = open_store(store.url)
    for name in ("elsewhere~abc~17~1.00-0", "old~17~1.00-0"):
        files.pipe_file(f"{root}/drafts/{name}.parquet", b"half")
    assert writing.remove_leftovers(files, root) == 0
    monkeypatch.setattr(writing, "ABANDONED_AFTER", timedelta(0))
    assert writing.remove_leftovers(files, root) == 2
    assert files_in(store.url) == []


def test_a_draft_of_this_host_in_another_pid_namespace_is_not_taken_for_a_dead_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, root = open_store(str(tmp_path))
    mine, real = writer.writer(), writer._place()
    monkeypatch.setattr(writer, "_place", lambda: f"{real.partition('~')[0]}~anotherplace")
    files.makedirs(f"{root}/drafts")
    theirs = mine.replace(real, f"{real.partition('~')[0]}~thirdplace")
    for name in (theirs, mine):
        files.pipe_file(f"{root}/drafts/{name}-0.parquet", b"half")
    assert writing.remove_leftovers(files, root) == 0
    monkeypatch.setattr(writer, "_place", lambda: real)
    dead = mine.rpartition("~")[0] + "~1.00"
    files.pipe_file(f"{root}/drafts/{dead}-0.parquet", b"half")
    assert writing.remove_leftovers(files, root) == 1


@pytest.mark.slow
def test_an_artifact_is_stored_whole_or_not_at_all_and_parts_go_by_age(
    bucket: FaultyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, file = ArtifactStore(f"{bucket.url}/artifacts"), tmp_path / "model"
    file.write_bytes(b"x" * 100_000)
    digest = store.put(file)
    assert files_in(store.url) == [f"{digest}.artifact"]
    assert store.fetch(digest, tmp_path / "cache").read_bytes() == file.read_bytes()

    files, root = open_store(store.url)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("the store is away")

    file.write_bytes(b"y" * 100_000)
    with monkeypatch.context() as broken:
        broken.setattr(type(files), "mv", refuse)
        with pytest.raises(OSError, match="the store is away"):
            store.put(file)
    assert files_in(store.url) == [f"{digest}.artifact"]
    files.pipe_file(f"{root}/.{digest}.0.part", b"half")
    assert store.remove_parts() == 0
    monkeypatch.setattr(artifacts, "_ABANDONED_AFTER", timedelta(0))
    assert store.remove_parts() == 1
    assert files_in(store.url) == [f"{digest}.artifact"]
    with pytest.raises(ArtifactError, match=r"expected a file in s3://bucket/penstock/artifacts, found none"):
        store.fetch("0" * 64, tmp_path / "cache")


def test_a_store_whose_driver_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PenstockError, match=r"store gs://bucket: .*pip install 'penstock\[gs\]'"):
        open_store("gs://bucket")
    with pytest.raises(PenstockError, match=r"store s4://bucket: expected a folder, or a URL such as s3://"):
        open_store("s4://bucket")
    assert shown_store("s3://key:secret@bucket/x?token=1") == "s3://bucket/x"
