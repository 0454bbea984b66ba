"""What every earlier version stored is brought forward: the same answers, and every prediction replays to the bit."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from penstock.backup.backup import Backup
from penstock.backup.restore import bring_back
from penstock.journal.replay import Replay
from penstock.journal.verdict import Verdict
from penstock.postgres.book import Book
from penstock.postgres.databases import Databases
from penstock.postgres.migrations import newest
from penstock.releases.artifacts import ArtifactStore
from penstock.settings import Settings
from penstock.snapshots.store import SnapshotStore
from penstock.verify.verify import verify
from tests.engine.backup.store_version import ANSWERS, REQUESTS, VERSIONS, ask, client
from tests.engine.backup.tanks import CONTRACT

STORED = sorted(path.name for path in VERSIONS.iterdir())


@pytest.fixture
def elsewhere(new_database: Callable[[], str], tmp_path: Path) -> Settings:
    """An empty place: two databases without anything, and a new home."""
    return Settings(home=tmp_path / "home", test_url=new_database(), prod_url=new_database())


def test_there_is_a_stored_version() -> None:
    assert "0.1.0" in STORED


@pytest.mark.parametrize("version", STORED)
def test_a_stored_version_is_restored_migrated_and_serves_and_replays_as_it_did(
    version: str, elsewhere: Settings, tmp_path: Path
) -> None:
    stored = bring_back(Databases(elsewhere).books(), elsewhere.stores, VERSIONS / version).backup
    both = Databases(elsewhere).books()
    for book in both:
        book.migrate()
    assert [(book.version(), book.pending()) for book in both] == [(newest(), ())] * 2
    checked = verify(both, SnapshotStore(elsewhere.snapshots))
    assert [one.equal for one in checked] == [True] * 4, checked

    stages = [verdict.stage for verdict in replay(elsewhere, stored, tmp_path)]
    assert stages == [""] * REQUESTS
    answers = msgspec.json.decode((VERSIONS / version / ANSWERS).read_bytes())
    assert len(answers) == REQUESTS
    with client(elsewhere) as http:
        assert [ask(http, request) for request, _ in answers] == [answer for _, answer in answers]


def replay(settings: Settings, stored: Backup, cache: Path) -> list[Verdict]:
    made = Replay(
        Book("test", settings.test_url), {CONTRACT.model: CONTRACT}, ArtifactStore(settings.artifacts), cache, ""
    )
    return list(made.run(since=stored.at - timedelta(hours=1)))
