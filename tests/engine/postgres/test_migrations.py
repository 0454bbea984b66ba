"""Books have a version: what is there is adopted, each migration is whole or not at all, nobody waits long."""

import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from penstock.journal.upkeep import days_ahead
from penstock.postgres import migrate, migrations
from penstock.postgres.book import Book
from penstock.postgres.databases import Databases
from penstock.postgres.migrations import BookError, known, newest
from penstock.settings import Settings

OLD = Path(__file__).parent / "books"
SHAPE = """
SELECT n.nspname || '.' || c.relname, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
WHERE n.nspname IN ('app', 'replicated') AND c.relkind IN ('r', 'p', 'v', 'i', 'I') AND a.attnum > 0
    AND NOT a.attisdropped
UNION ALL SELECT p.oid::regprocedure::text, md5(p.prosrc), p.proconfig::text, p.prosecdef
FROM pg_proc p WHERE p.pronamespace = 'app'::regnamespace
UNION ALL SELECT t.tgrelid::regclass::text, tgname::text, 'trigger', true
FROM pg_trigger t WHERE NOT tgisinternal"""


def shape(book: Book) -> set[tuple[object, ...]]:
    """All columns, functions and triggers of both schemas."""
    with book.connect() as connection:
        return set(connection.execute(SHAPE).fetchall())


def made_by_an_earlier_version(name: str, url: str) -> Book:
    with psycopg.connect(url) as connection:
        connection.execute((OLD / f"{name}.sql").read_bytes())
    return Book("prod", url)


@pytest.fixture
def old_book(new_database: Callable[[], str]) -> Book:
    """A book as Penstock made it just before books had a version."""
    return made_by_an_earlier_version("before_versions", new_database())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the folder of migrations that the code uses, to be changed."""
    copy = tmp_path / "migrations"
    shutil.copytree(migrations.FOLDER, copy)
    monkeypatch.setattr(migrations, "FOLDER", copy)
    known.cache_clear()
    yield copy
    known.cache_clear()


def one_more(folder: Path, statements: str) -> None:
    (folder / f"{newest() + 1:04}_one_more.sql").write_text(statements)
    known.cache_clear()


def settings_of(book: Book) -> Settings:
    return Settings(home=Path("/nowhere"), test_url=book.url, prod_url=book.url, dagster_url=book.url)


def test_migrations_are_numbered_without_a_gap_and_each_is_recorded_with_its_content(book: Book) -> None:
    assert [migration.number for migration in known()] == list(range(1, newest() + 1))
    with book.connect() as connection:
        recorded = connection.execute("SELECT number, name, digest FROM app.migration ORDER BY number").fetchall()
    assert recorded == [(one.number, one.name, one.digest) for one in known()]
    assert len(recorded) >= 9


@pytest.mark.parametrize("name", [path.stem for path in OLD.glob("*.sql")])
def test_a_book_of_every_earlier_version_becomes_one_like_a_new_one(
    name: str, book: Book, new_database: Callable[[], str]
) -> None:
    old = made_by_an_earlier_version(name, new_database())
    assert old.version() == migrations.BEFORE_VERSIONS

    assert old.migrate() == known()

    assert shape(old) == shape(book)
    assert old.version() == newest()


def test_a_book_from_before_versions_is_adopted_with_all_its_rows_grants_and_views(old_book: Book) -> None:
    with old_book.connect() as connection:
        connection.execute("DO $$ BEGIN CREATE ROLE analyst; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
        connection.execute("GRANT SELECT ON app.journal TO analyst")
        connection.execute("CREATE VIEW public.per_model AS SELECT model, count(*) FROM app.journal GROUP BY model")
        connection.execute(
            "INSERT INTO app.release (model, version, action, artifact, contract, month, training_snapshot,"
            " holdout_snapshot, metrics, gate, code_version, who, why)"
            " VALUES ('m', 1, 'release', 'a', 'c', '2026-01', '', '', '{}', '{}', '', 'me', '')"
        )
        connection.execute(
            "INSERT INTO app.origin (digest, model, release, artifact, snapshots) VALUES ('d', 'm', 1, 'a', '{}')"
        )
        connection.execute(
            "INSERT INTO app.prediction SELECT app.first_id(now()), 'm', 'e', now(), now(), '{\"a\": 1}', '{}', 'f',"
            " '{}', id, 'r' FROM app.origin"
        )
        kept = connection.execute("SELECT p::text FROM app.prediction p").fetchall()

    old_book.migrate()

    with old_book.connect() as connection:
        assert connection.execute("SELECT p::text FROM app.prediction p").fetchall() == kept
        assert connection.execute("SELECT model, release, period FROM app.release").fetchall() == [("m", 1, "2026-01")]
        connection.execute("GRANT USAGE ON SCHEMA app TO analyst")
        connection.execute("SET ROLE analyst")
        assert connection.execute("SELECT request->>'a' FROM app.journal").fetchall() == [("1",)]
    with old_book.connect() as connection:
        assert connection.execute("SELECT * FROM public.per_model").fetchall() == [("m", 1)]


@pytest.mark.slow
def test_a_rewrite_that_was_broken_off_goes_on_where_it_was(
    new_database: Callable[[], str], folder: Path, tmp_path: Path
) -> None:
    old = made_by_an_earlier_version("first", new_database())
    with old.connect() as connection:
        connection.execute(
            """INSERT INTO app.prediction
               SELECT (left(app.first_id(now())::text, 24) || lpad(to_hex(n), 12, '0'))::uuid, 'm', 'e', now(), now(),
                      '{"a":1}', '{"x":null}', 'f', '{"prediction":1.5,"missing":[]}', 1, 'a', '{"t":"s"}', 'r'
               FROM generate_series(1, 12000) AS n"""
        )
    later = [path for path in folder.iterdir() if int(path.name[:4]) >= 7]
    for path in later:
        path.rename(tmp_path / path.name)
    known.cache_clear()
    old.migrate()
    for path in later:
        (tmp_path / path.name).rename(path)
    known.cache_clear()
    with old.connect() as holding:
        holding.execute(
            "SELECT FROM app.prediction WHERE id = (SELECT id FROM app.prediction ORDER BY id OFFSET 7000 LIMIT 1)"
            " FOR UPDATE"
        )
        with pytest.raises(
            BookError, match=r"migration 7 journal_rewrite of book 'prod'.*found process \d+ \(penstock"
        ):
            old.migrate(patience=1)
        with old.connect() as connection:
            done = "SELECT count(*), count(outcome), count(request_text) FROM app.prediction"
            assert connection.execute(done).fetchone() == (12000, 5000, 5000)
        assert old.version() == 6

    assert [one.number for one in old.migrate()] == list(range(7, newest() + 1))

    with old.connect() as connection:
        found = connection.execute(
            "SELECT count(*), min(request), max(prediction), max(snapshots) FROM app.prediction p"
            " JOIN app.origin o ON o.id = p.origin"
        ).fetchone()
    assert found == (12000, '{"a":1}', '{"prediction":1.5,"missing":[]}', '{"t":"s"}')


@pytest.mark.slow
def test_a_migration_that_meets_an_open_transaction_names_it_and_lets_other_readers_pass(old_book: Book) -> None:
    with psycopg.connect(old_book.url, application_name="notebook of ann") as analyst, ThreadPoolExecutor(1) as pool:
        analyst.execute("SELECT count(*) FROM app.journal")
        migrating = pool.submit(old_book.migrate, patience=3)
        slowest = 0.0
        while not migrating.done():
            started = time.monotonic()
            with old_book.connect() as other:
                other.execute("SELECT count(*) FROM app.journal")
            slowest = max(slowest, time.monotonic() - started)
        told = str(migrating.exception())
        pid = analyst.info.backend_pid

    assert "migration 9 journal_view of book 'prod': expected a moment without other sessions" in told
    assert f"process {pid} (notebook of ann, user postgres, idle in transaction for" in told
    assert "SELECT count(*) FROM app.journal" in told
    assert "run `penstock migrate` again; nothing was changed by this migration" in told
    assert slowest < 2
    assert old_book.version() == 8
    applied = [str(one) for one in old_book.migrate()]
    assert applied == ["9 journal_view", "10 release_period", "11 journal_upkeep", "12 former_contract", "13 words"]


def test_processes_that_migrate_at_once_do_it_once_and_say_for_whom_they_wait(old_book: Book) -> None:
    said: list[str] = []
    with psycopg.connect(old_book.url, autocommit=True, application_name="the other one") as other:
        other.execute("SELECT pg_advisory_lock(%s::int, %s::int)", migrate.LOCK_KEY)
        pid = other.info.backend_pid
        with pytest.raises(BookError, match=r"the other migration of this book to end within 0.2 s.*the other one"):
            old_book.migrate(patience=0.2)
        with ThreadPoolExecutor(3) as pool:
            waiting = [pool.submit(old_book.migrate, say=said.append) for _ in range(3)]
            while sum("waiting for process" in text for text in said) < 3:
                time.sleep(0.01)
            assert not any(one.done() for one in waiting)
            other.execute("SELECT pg_advisory_unlock_all()")
            applied = sorted(len(one.result()) for one in waiting)
    assert applied == [0, 0, newest()]
    assert f"waiting for process {pid} (the other one, user postgres" in said[0]


def test_a_migration_that_fails_leaves_the_book_as_it_was(book: Book, folder: Path) -> None:
    before, version = shape(book), newest()
    one_more(folder, "CREATE TABLE app.more (n integer); SELECT 1 / 0;")
    with pytest.raises(BookError, match=r"migration \d+ one_more of book 'test': found division by zero"):
        book.migrate()
    assert (shape(book), book.version()) == (before, version)


def test_a_migration_that_was_changed_after_it_was_applied_is_refused(book: Book, folder: Path) -> None:
    path = next(folder.glob("0003_*"))
    path.write_text(path.read_text() + "\n-- and more")
    one_more(folder, "CREATE TABLE app.more (n integer)")
    with pytest.raises(BookError, match=r"migration 3 of database.*A migration that was applied never changes"):
        book.migrate()


def test_a_book_that_is_older_is_opened_by_nothing_and_named_with_the_command(book: Book, folder: Path) -> None:
    version = newest()
    one_more(folder, "CREATE TABLE app.more (n integer)")
    with pytest.raises(BookError) as refused:
        Databases(settings_of(book)).open_books()
    assert str(refused.value) == (
        f"book 'test': expected version {version + 1}, found version {version}. Run `penstock migrate`."
    )
    assert book.version() == version


def test_code_that_is_older_than_the_book_stops_and_migrates_nothing(book: Book) -> None:
    with book.connect() as connection:
        connection.execute("INSERT INTO app.migration (number, name, digest) VALUES (%s, 'later', '')", (newest() + 2,))
    expected = (
        f"book 'test': expected at most version {newest()}, the newest that this Penstock knows, found version "
        f"{newest() + 2}. Install the newer Penstock."
    )
    for use in (lambda: Databases(settings_of(book)).open_books(), book.migrate):
        with pytest.raises(BookError) as refused:
            use()
        assert str(refused.value) == expected


def test_an_empty_database_and_a_book_from_before_versions_are_left_alone_by_opening(
    new_database: Callable[[], str], old_book: Book
) -> None:
    empty = Book("test", new_database())
    with pytest.raises(BookError, match=r"found an empty database. Run `penstock migrate`"):
        Databases(settings_of(empty)).open_books()
    with pytest.raises(BookError, match=r"found a book from before books had versions. Run `penstock migrate`"):
        Databases(settings_of(old_book)).open_books()
    assert (empty.version(), old_book.version()) == (None, 0)


def test_migrating_makes_the_journals_coming_days_also_where_nothing_else_is_to_do(book: Book) -> None:
    with book.connect(autocommit=True) as connection:
        connection.execute(
            "DO $$ DECLARE name text; BEGIN FOR name IN SELECT c.oid::regclass FROM pg_inherits i JOIN"
            " pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'app.prediction'::regclass"
            " LOOP EXECUTE 'DROP TABLE ' || name; END LOOP; END $$"
        )
        assert days_ahead(connection) == -1
    assert book.migrate() == ()
    with book.connect(autocommit=True) as connection:
        assert days_ahead(connection) == 30
