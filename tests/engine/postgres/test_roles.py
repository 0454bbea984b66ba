"""Least privilege: each role can do all of what it is for, and nothing else."""

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest

from penstock.journal.upkeep import keep_up
from penstock.postgres import roles
from penstock.postgres.book import Book
from penstock.postgres.migrations import BookError, newest
from penstock.postgres.programs import programs
from penstock.postgres.server import DEFAULTS, PostgresServer
from penstock.publish.publish import publish
from penstock.releases import ledger as releases
from penstock.replicated.error import PublishError
from penstock.retention.policy import RetentionPolicy, drop, droppable
from penstock.snapshots.store import SnapshotStore
from penstock.testing import as_member
from penstock.verify.verify import verify
from tests.engine.publishing import changed, declared, numbered, relations, rows_of, write

REFUSED = (psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectNotInPrerequisiteState)  # the second for views
RELATIONS = """SELECT c.oid::regclass::text FROM pg_class c
    WHERE c.relnamespace IN ('app'::regnamespace, 'replicated'::regnamespace) AND c.relkind IN ('r', 'p', 'v')
        AND NOT c.relispartition"""


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(str(tmp_path / "snapshots"))


def refused(book: Book, statement: str) -> bool:
    with book.connect() as connection, pytest.raises(REFUSED):
        connection.execute(statement.encode())
    return True


def test_a_database_gets_the_roles_first_and_then_everything_from_a_login_that_migrates(
    new_database: Callable[[], str],
) -> None:
    book = Book("prod", new_database())
    migrator = as_member(book, roles.MIGRATE)

    assert len(migrator.migrate()) == newest()

    with book.connect() as connection:
        owners = connection.execute(
            "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'app'::regnamespace"
        ).fetchall()
        assert owners == [(roles.MIGRATE,)]
    for role in (roles.PIPELINE, roles.SERVICE, roles.READER):
        with as_member(book, role).connect() as connection:
            found = roles.rights(connection)
            assert (found.member_of, found.lacking) == ([role], [])
            assert set(found.duties) >= {roles.DUTIES[role]}
            assert "migrate" not in found.duties


@pytest.mark.slow
def test_the_script_runs_in_psql_as_an_owner_who_is_no_superuser(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path / "data", tmp_path / "log", {**DEFAULTS, "fsync": "off"})
    server.start()
    try:
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            connection.execute("CREATE ROLE admin LOGIN CREATEROLE")
            connection.execute("CREATE DATABASE managed OWNER admin")
        admin = Book("prod", server.url("managed").replace("//postgres@", "//admin@"))
        admin.migrate()
        for _ in range(2):
            command = [str(programs() / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", admin.url]
            ran = subprocess.run(command, input=roles.script(), capture_output=True, text=True, check=False)
            assert (ran.returncode, ran.stderr) == (0, "")
        with admin.connect(autocommit=True) as connection:
            connection.execute("CREATE ROLE loader LOGIN IN ROLE penstock_pipeline")
            connection.execute("DELETE FROM app.migration WHERE number = %s", (newest(),))
        assert len(admin.migrate()) == 1
        with Book("prod", admin.url.replace("//admin@", "//loader@")).connect() as connection:
            assert roles.rights(connection).duties == [roles.DUTIES[roles.PIPELINE], roles.DUTIES[roles.READER]]
    finally:
        server.stop()


def test_a_book_that_has_content_gets_the_roles_and_can_be_given_them_again(store: SnapshotStore, book: Book) -> None:
    publish(write(store, numbered(5)), declared(), [book], who="me")
    reader = as_member(book, roles.READER)
    assert len(rows_of(as_member(book, roles.SERVICE), "numbers")) == 5
    assert len(rows_of(reader, "numbers")) == 5
    with book.connect() as connection:
        connection.execute("REVOKE SELECT ON app.release FROM penstock_reader")
    with reader.connect() as connection:
        assert roles.rights(connection).lacking == ["GRANT SELECT ON TABLE app.release TO penstock_reader;"]
    as_member(book, roles.READER)
    with reader.connect() as connection:
        assert roles.rights(connection).lacking == []


def test_only_a_migrating_login_migrates(book: Book) -> None:
    pipeline = as_member(book, roles.PIPELINE)
    with book.connect() as connection:
        connection.execute("DELETE FROM app.migration WHERE number = %s", (newest(),))
    with pytest.raises(
        BookError, match=r"expected the owner of the schemas app and replicated.*penstock doctor --roles"
    ):
        pipeline.migrate()
    assert len(as_member(book, roles.MIGRATE).migrate()) == 1


def test_a_reader_reads_everything_and_writes_nothing(store: SnapshotStore, book: Book) -> None:
    publish(write(store, numbered(5)), declared(), [as_member(book, roles.PIPELINE)], who="me")
    reader = as_member(book, roles.READER)
    with book.connect() as connection:
        names = [name for (name,) in connection.execute(RELATIONS)]
    assert len(names) >= 12
    with reader.connect() as connection:
        for name in names:
            connection.execute(f"SELECT * FROM {name}")
    for name in names:
        assert refused(reader, f"DELETE FROM {name}")
        assert refused(reader, f"INSERT INTO {name} DEFAULT VALUES")
    for statement in ("CREATE TABLE app.mine ()", "CREATE TABLE replicated.mine ()", "SELECT app.prepare_journal()"):
        assert refused(reader, statement)
    assert [one.equal for one in verify([reader], store)] == [True]


def test_the_service_reads_what_it_serves_writes_its_journal_and_makes_nothing(book: Book) -> None:
    service = as_member(book, roles.SERVICE)
    with service.connect() as connection:
        connection.execute("SELECT * FROM replicated.current, app.current_release, app.release")
        owned = connection.execute("SELECT count(*) FROM pg_class WHERE pg_has_role(relowner, 'USAGE')").fetchone()
        assert owned == (0,)
    for statement in (
        "CREATE TABLE app.mine ()",
        "CREATE TABLE replicated.mine ()",
        "DELETE FROM app.prediction",
        "UPDATE app.prediction SET model = ''",
        "DELETE FROM app.latest_answer",
        "UPDATE app.current_release SET release = 1",
        "INSERT INTO app.release DEFAULT VALUES",
        "UPDATE replicated.current SET rows = 0",
        "SELECT app.prepare_journal()",
        "SELECT app.drop_oldest_journal_day(400)",
        "SELECT app.delete_old_answers(400, 1)",
    ):
        assert refused(service, statement)


def test_the_pipeline_keeps_up_the_journal_but_drops_nothing_of_the_last_month(book: Book) -> None:
    pipeline = as_member(book, roles.PIPELINE)
    with book.connect() as connection:
        connection.execute("SELECT app.prepare_journal(36)")
        connection.execute("DROP TABLE app.prediction_" + f"{datetime.now(UTC) + timedelta(days=30):%Y%m%d}")
    done = keep_up(pipeline)
    assert (done.made, done.days_ahead, done.due) == (1, 36, [])
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="may retire a journal of less than 30 days"):
        keep_up(pipeline, keep=0)


@pytest.mark.slow
def test_the_pipeline_publishes_changes_verifies_retires_and_writes_no_journal(
    store: SnapshotStore, book: Book, prod_book: Book
) -> None:
    test, prod = as_member(book, roles.PIPELINE), as_member(prod_book, roles.PIPELINE)
    books = [test, prod]
    others = [as_member(one, roles.PIPELINE, "another_loader") for one in (book, prod_book)]
    service = as_member(book, roles.SERVICE)
    base = write(store, numbered(2000))
    publish(base, declared(), books, who="me")
    rows = pa.table({name: numbered(2001, offset=1)[name][-3:] for name in base.schema.names}, base.schema)
    (layered, _) = publish(changed(store, base, rows), declared(), others, who="me")
    assert layered.loaded == 3
    assert len(rows_of(service, "numbers")) == 2001
    for count in (11, 12, 13):
        (published, _) = publish(write(store, numbered(count)), declared(), books if count % 2 else others, who="me")
        assert len(rows_of(service, published.physical)) == count
    other_columns = write(store, numbered(14).select(["key", "value"]))
    publish(other_columns, declared(), books, who="me")
    policy = RetentionPolicy(tables=1, grace=timedelta(0), young=timedelta(0), snapshots=1)
    for _ in range(2):  # the base of a layered table goes after it
        gone = drop(store, others, droppable(store, others, policy), policy)
        assert len(gone.tables) >= 2
    assert len(relations(book)) == 1
    assert [one.equal for one in verify(books, store)] == [True, True]
    assert len(rows_of(service, "numbers")) == 14
    for statement in (
        "INSERT INTO app.prediction DEFAULT VALUES",
        "DELETE FROM app.latest_answer",
        "UPDATE app.release SET why = ''",
        "DELETE FROM replicated.publication",
        "ALTER TABLE app.release ADD COLUMN mine text",
        "CREATE TABLE app.mine ()",
        "SELECT app.drop_oldest_journal_day(29)",
    ):
        assert refused(test, statement)


def test_a_view_of_an_analyst_that_the_pipeline_cannot_make_again_is_named(store: SnapshotStore, book: Book) -> None:
    pipeline = as_member(book, roles.PIPELINE)
    publish(write(store, numbered(5)), declared(), [pipeline], who="me")
    with as_member(book, roles.READER).connect() as analyst:
        user = analyst.info.user
    with book.connect() as connection:
        connection.execute("CREATE VIEW public.doubled AS SELECT key, value * 2 AS twice FROM replicated.numbers")
        connection.execute(f"ALTER VIEW public.doubled OWNER TO {user}".encode())
    publish(write(store, numbered(6)), declared(), [pipeline], who="me")
    with pytest.raises(PublishError, match=rf"view doubled, which reads replicated.numbers.*found .*{user}"):
        publish(write(store, numbered(7).select(["key", "value"])), declared(), [pipeline], who="me")
    assert len(rows_of(book, "numbers")) == 6


def test_the_pipeline_releases_and_rolls_back(book: Book) -> None:
    pipeline = as_member(book, roles.PIPELINE)
    for artifact in "ab":
        proposal = releases.Proposal("m", artifact * 64, "contract", "2026-10", "", "", {}, "code")
        releases.release(pipeline, proposal, lambda _: releases.Verdict("release", {}), who="me", why="test")
    assert releases.rollback(pipeline, "m", who="me", why="test").release == 1
    assert releases.ledger(as_member(book, roles.READER), "m")[0].action == "rollback"


def test_what_a_superuser_publishes_is_read_by_the_service_and_superseded_by_the_pipeline(
    store: SnapshotStore, book: Book
) -> None:
    service, pipeline = as_member(book, roles.SERVICE), as_member(book, roles.PIPELINE)
    for count, publisher in ((5, book), (6, pipeline), (7, book), (8, pipeline)):
        (published,) = publish(write(store, numbered(count)), declared(), [publisher], who="me")
        assert len(rows_of(service, "numbers")) == len(rows_of(service, published.physical)) == count
    with book.connect() as connection:
        owners = connection.execute(
            "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'replicated'::regnamespace"
            " AND relname LIKE 'numbers%' AND relkind IN ('r', 'v')"
        ).fetchall()
    assert owners == [(roles.PIPELINE,)]
