"""A backup is one instant of books and stores; restored into an empty place, every prediction replays to the bit."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import psycopg
import pytest

from penstock.backup import backup, stores
from penstock.backup.backup import BACKUP, back_up
from penstock.backup.dump import BackupError
from penstock.backup.restore import bring_back
from penstock.journal.replay import Replay
from penstock.postgres import roles
from penstock.postgres.book import Book
from penstock.postgres.databases import Databases
from penstock.postgres.pointer import pointers
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.ledger import current_releases
from penstock.settings import Settings
from penstock.testing import as_member
from tests.engine.serving import toy
from tests.engine.serving.conftest import Service


@pytest.fixture
def settings(service: Service, prod_book: Book) -> Settings:
    """A home with the service's book as TEST, and a second one as PROD."""
    return msgspec.structs.replace(service.settings, test_url=service.book.url, prod_url=prod_book.url)


@pytest.fixture
def elsewhere(new_database: Callable[[], str], tmp_path: Path) -> Settings:
    """An empty place: two databases without anything, and a new home."""
    return Settings(home=tmp_path / "elsewhere", test_url=new_database(), prod_url=new_database())


def replays(settings: Settings, cache: Path) -> list[tuple[str, str, int]]:
    made = Replay(
        Book("test", settings.test_url), {"overflow": toy.CONTRACT}, ArtifactStore(settings.artifacts), cache, ""
    )
    verdicts = list(made.run(since=datetime.now(UTC) - timedelta(hours=1)))
    return [(verdict.id, verdict.stage, verdict.release) for verdict in verdicts]


def test_a_restored_backup_replays_every_prediction_to_the_bit(
    service: Service, settings: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    service.ask_many(range(300))
    before = replays(settings, tmp_path / "cache")
    made = back_up(Databases(settings).books(), settings.stores, tmp_path / "backups")
    service.ask_many(range(300, 320))  # not in it

    done = bring_back(Databases(elsewhere).books(), elsewhere.stores, tmp_path / "backups")
    assert done.backup == made
    after = replays(elsewhere, tmp_path / "other-cache")
    assert len(after) == 300
    assert after == before
    assert {stage for _, stage, _ in after} == {""}
    book = Book("test", elsewhere.test_url)
    assert current_releases(book).keys() == {"overflow"}
    with book.connect() as restored, service.book.connect() as original:
        assert pointers(restored) == pointers(original)
        assert len(pointers(restored)) == 3
    assert Book("prod", elsewhere.prod_url).pending() == ()


@pytest.mark.slow
def test_owners_and_grants_come_back_after_the_roles_script(
    service: Service, settings: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    back_up(Databases(settings).books(), settings.stores, tmp_path / "backups")
    with psycopg.connect(elsewhere.test_url, autocommit=True) as connection:
        connection.execute(roles.script().encode())  # makes the two schemas, still empty
    assert bring_back(Databases(elsewhere).books(), elsewhere.stores, tmp_path / "backups").without_roles == ()
    reader = as_member(Book("test", elsewhere.test_url), roles.SERVICE, "restored_service")
    with reader.connect() as connection:
        assert roles.rights(connection).missing[roles.SERVICE] == []


@pytest.mark.slow
def test_the_next_backup_copies_only_what_is_new(service: Service, settings: Settings, tmp_path: Path) -> None:
    first = back_up(Databases(settings).books(), settings.stores, tmp_path / "backups")
    assert first.new_files == first.files > 0
    service.release(2)
    (tmp_path / "backups" / first.name).rename(tmp_path / "backups" / "earlier")
    second = back_up(Databases(settings).books(), settings.stores, tmp_path / "backups")
    assert 0 < second.new_files < second.files
    assert first.files + second.new_files == second.files


@pytest.mark.slow
def test_what_is_not_empty_is_not_restored_into_and_all_faults_are_said(
    settings: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    made = back_up(Databases(settings).books(), settings.stores, tmp_path / "backups")
    Book("prod", elsewhere.prod_url).migrate()
    (elsewhere.home / "artifacts").mkdir(parents=True)
    (elsewhere.home / "artifacts" / "x").write_text("x")
    with (tmp_path / "backups" / made.name / "test.dump").open("ab") as dump:
        dump.write(b"x")
    with pytest.raises(BackupError, match="Nothing was restored") as refused:
        bring_back(Databases(elsewhere).books(), elsewhere.stores, tmp_path / "backups")
    for fault in ("test.dump is not what was written", "book 'prod' is not empty", "artifacts store"):
        assert fault in str(refused.value)
    assert Book("test", elsewhere.test_url).version() is None


@pytest.mark.slow
def test_a_backup_while_others_write_and_drop_has_what_is_whole(
    service: Service, settings: Settings, elsewhere: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshots, artifacts = Path(settings.snapshots), Path(settings.artifacts)
    half = snapshots / "drafts" / "a", snapshots / "parts" / "t" / "w-1" / "0", artifacts / f"{'0' * 64}.1.part"
    half = *half, snapshots / "names" / "t" / "1.json.draft"
    for path in half:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half of it")
    listed = stores._sizes
    gone = {"names/t/1.json": 3, "objects/gone/manifest.json": 3, "objects/gone/rows.parquet": 3}
    monkeypatch.setattr(
        stores, "_sizes", lambda files, root: listed(files, root) | (gone if root == settings.snapshots else {})
    )
    dumped = backup.dump

    def dump_while_a_table_is_dropped(book: Book, snapshot: str, target: Path) -> None:
        with psycopg.connect(settings.prod_url, autocommit=True) as connection:
            connection.execute("SET lock_timeout = '50ms'")
            with suppress(psycopg.errors.LockNotAvailable, psycopg.errors.UndefinedTable):
                connection.execute("DROP TABLE replicated.old")
        dumped(book, snapshot, target)

    with psycopg.connect(settings.prod_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE replicated.old AS SELECT 1 AS n")
    monkeypatch.setattr(backup, "dump", dump_while_a_table_is_dropped)
    done = back_up(Databases(settings).books(), settings.stores, tmp_path / "backups")
    copied = {path.name for path in (tmp_path / "backups").rglob("*") if path.is_file()}
    assert done.files == done.new_files == len(copied - {"backup.json", "test.dump", "prod.dump"}) > 0
    assert not copied & {path.name for path in half}
    monkeypatch.undo()
    bring_back(Databases(elsewhere).books(), elsewhere.stores, tmp_path / "backups")
    with psycopg.connect(elsewhere.prod_url) as connection:
        assert connection.execute("SELECT n FROM replicated.old").fetchone() == (1,)


def test_a_backup_of_a_newer_penstock_is_refused_before_anything_changes(
    settings: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    made = back_up(Databases(settings).books(), settings.stores, tmp_path / "backups")
    newer = {name: msgspec.structs.replace(book, version=999) for name, book in made.books.items()}
    path = tmp_path / "backups" / made.name / BACKUP
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(made, books=newer)))
    with pytest.raises(BackupError, match=r"version 999, this Penstock knows \d+"):
        bring_back(Databases(elsewhere).books(), elsewhere.stores, tmp_path / "backups")
    assert Book("test", elsewhere.test_url).version() is None


def test_a_backup_that_lacks_an_artifact_is_none(settings: Settings, service: Service, tmp_path: Path) -> None:
    for path in Path(settings.artifacts).rglob("*"):
        if path.is_file():
            path.unlink()
    with pytest.raises(BackupError, match="the artifacts of all current releases"):
        back_up(Databases(settings).books(), settings.stores, tmp_path / "backups")
    assert not list((tmp_path / "backups").glob(f"*/{BACKUP}"))


def test_a_password_stands_on_no_command_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: dict[str, object] = {}

    def run(command: list[str], env: dict[str, str], **_: object) -> object:
        seen.update(command=" ".join(command), password=env["PGPASSWORD"])
        return type("Done", (), {"returncode": 0})

    monkeypatch.setattr("penstock.backup.dump.subprocess.run", run)
    from penstock.backup.dump import dump

    dump(Book("test", "postgresql://penstock:not-to-be-seen@books/test"), "1-1", tmp_path / "x")
    assert seen["password"] == "not-to-be-seen"
    assert "not-to-be-seen" not in str(seen["command"])
    assert "host=books" in str(seen["command"])
