"""The artifact store: by digest, atomic, verified once on the way into a node's cache."""

import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from penstock.errors import ArtifactError
from penstock.releases.artifacts import ArtifactStore

CONTENT = b"a model" * 100_000


@pytest.fixture(params=["folder", "file URL", "fsspec"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    """A store of each kind."""
    urls = {"folder": tmp_path / "s", "file URL": f"file://{tmp_path}/s/", "fsspec": f"memory://{uuid.uuid4().hex}/s"}
    return ArtifactStore(str(urls[request.param]))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A file to store."""
    path = tmp_path / "model"
    path.write_bytes(CONTENT)
    return path


def test_a_file_is_fetched_by_the_digest_of_its_bytes(store: ArtifactStore, model: Path, tmp_path: Path) -> None:
    digest = store.put(model)
    assert store.put(model) == digest
    assert store.exists(digest)
    cached = store.fetch(digest, tmp_path / "cache")
    assert cached.read_bytes() == CONTENT
    assert store.fetch(digest, tmp_path / "cache") == cached
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [f"{digest}.artifact"]


def test_a_file_that_is_in_the_cache_needs_no_store(model: Path, tmp_path: Path) -> None:
    store = ArtifactStore(str(tmp_path / "s"))
    digest = store.put(model)
    cached = store.fetch(digest, tmp_path / "cache")
    (tmp_path / "s" / f"{digest}.artifact").unlink()
    assert store.fetch(digest, tmp_path / "cache") == cached


def test_a_damaged_file_is_refused_by_name_and_leaves_nothing_in_the_cache(model: Path, tmp_path: Path) -> None:
    store = ArtifactStore(str(tmp_path / "s"))
    digest = store.put(model)
    stored = tmp_path / "s" / f"{digest}.artifact"
    for damage in (CONTENT[:-1], b"b" + CONTENT[1:], b""):
        stored.chmod(0o644)
        stored.write_bytes(damage)
        with pytest.raises(ArtifactError, match=rf"{digest}.*damaged"):
            store.fetch(digest, tmp_path / "cache")
        assert list((tmp_path / "cache").iterdir()) == []


def test_what_is_not_stored_or_not_a_digest_is_named(store: ArtifactStore, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"0{64}.*found none"):
        store.fetch("0" * 64, tmp_path / "cache")
    for wrong in ("", "../../etc/passwd", "A" * 64):
        with pytest.raises(ArtifactError, match="64 hexadecimal digits"):
            store.fetch(wrong, tmp_path / "cache")


def test_many_processes_may_store_and_fetch_at_once(model: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from penstock.releases.artifacts import ArtifactStore\n"
        "s = ArtifactStore(sys.argv[1]); d = s.put(sys.argv[2])\n"
        "assert s.fetch(d, Path(sys.argv[3])).stat().st_size == 700_000"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "s"), str(model), str(tmp_path / "cache")]
    running = [subprocess.Popen(arguments) for _ in range(6)]
    assert [process.wait(60) for process in running] == [0] * 6
    assert len(list((tmp_path / "s").iterdir())) == len(list((tmp_path / "cache").iterdir())) == 1


def test_a_folder_needs_no_fsspec() -> None:
    code = (
        "import sys, penstock.releases.artifacts as a; a.ArtifactStore('/tmp/x').exists('0' * 64); print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "fsspec" not in loaded
    assert "sqlalchemy" not in loaded
