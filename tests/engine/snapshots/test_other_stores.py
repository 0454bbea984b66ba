"""Stores by any URL of fsspec are as a folder is. PENSTOCK_TEST_STORES adds URLs of buckets."""

import os
import uuid
from datetime import timedelta
from pathlib import Path

import pytest

from penstock.backup.stores import copy_store, is_empty
from penstock.errors import PenstockError
from penstock.releases.artifacts import ArtifactStore
from penstock.snapshots import writing
from penstock.snapshots.store import SnapshotStore
from penstock.store_url import ask_store, demand_writable, open_store
from tests.engine.publishing import numbered, write

URLS = ["file://{folder}/bucket", *os.environ.get("PENSTOCK_TEST_STORES", "").split()]


@pytest.fixture(params=URLS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place that nothing was written to, in a bucket that is there."""
    (tmp_path / "bucket").mkdir()
    return f"{request.param.format(folder=tmp_path)}/{uuid.uuid4().hex}"


def test_an_empty_store_answers_and_a_bucket_that_is_not_there_is_said(url: str) -> None:
    assert ask_store("store", url, "PENSTOCK_SNAPSHOTS_URL") == 0
    demand_writable("store", url, "PENSTOCK_SNAPSHOTS_URL")
    assert is_empty(url)
    if not url.startswith("file:"):
        scheme, _, rest = url.partition("://")
        with pytest.raises(PenstockError, match="does not exist, or these credentials may not list it"):
            ask_store("store", f"{scheme}://absent-{rest}", "PENSTOCK_SNAPSHOTS_URL")


def test_snapshots_and_artifacts_are_those_of_a_folder_and_a_backup_has_them(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, folder = SnapshotStore(f"{url}/snapshots"), SnapshotStore(str(tmp_path / "folder"))
    written = write(store, numbered(1000))
    assert written.id == write(folder, numbered(1000)).id == write(store, numbered(1000)).id
    again = SnapshotStore(store.url)
    assert [one.id for one in again.history("numbers")] == [written.id] * 2
    assert sum(batch.num_rows for batch in again.open(written.id).batches()) == 1000

    files, root = open_store(store.url)
    files.pipe_file(f"{root}/drafts/elsewhere~abc~17~1.00-0.parquet", b"half")
    assert writing.remove_leftovers(files, root) == 0

    artifacts, model = ArtifactStore(f"{url}/artifacts"), tmp_path / "model"
    model.write_bytes(os.urandom(300_000))
    digest = artifacts.put(model)
    assert artifacts.fetch(digest, tmp_path / "cache").read_bytes() == model.read_bytes()

    copies = [copy_store(store.url, str(tmp_path / "copy")) for _ in range(2)]
    copies.append(copy_store(str(tmp_path / "copy"), f"{url}/restored"))
    assert copies == [(4, 4), (4, 0), (4, 4)]

    monkeypatch.setattr(writing, "ABANDONED_AFTER", timedelta(0))
    assert writing.remove_leftovers(files, root) == 1
    store.remove(written.id)
    assert files.find(root) == []
