"""The view `replicated.<table>`: grants and views of users survive whatever happens to the columns."""

from pathlib import Path

import psycopg
import pyarrow as pa
import pytest

from penstock.postgres.book import Book
from penstock.publish.publish import publish
from penstock.replicated.error import PublishError
from penstock.snapshots.store import SnapshotStore
from tests.engine.publishing import declared, numbered, relations, rows_of, write


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(str(tmp_path / "snapshots"))


CHANGED = {
    "the same columns": numbered(7),
    "a column more": numbered(7).append_column("more", pa.array(range(7))),
    "another order": numbered(7).select(["key", "value", "text", "part"]),
    "a column less": numbered(7).select(["key", "part", "value"]),
    "another type": numbered(7).set_column(1, "part", pa.array(["x"] * 7)),
}


@pytest.mark.parametrize("change", CHANGED)
def test_grants_and_views_of_users_survive(store: SnapshotStore, book: Book, change: str) -> None:
    publish(write(store, numbered(5)), declared(), [book], who="me")
    with book.connect() as connection:
        connection.execute("DO $$ BEGIN CREATE ROLE analyst; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
        connection.execute("GRANT SELECT ON replicated.numbers TO analyst WITH GRANT OPTION")
        connection.execute("COMMENT ON VIEW replicated.numbers IS 'ours'")
        connection.execute("CREATE VIEW public.doubled AS SELECT key, value * 2 AS twice FROM replicated.numbers")
        connection.execute("CREATE VIEW public.again AS SELECT sum(twice) AS total FROM public.doubled")
        connection.execute("ALTER VIEW public.doubled OWNER TO analyst; GRANT SELECT ON public.again TO analyst")
        connection.execute("GRANT USAGE ON SCHEMA replicated TO analyst")
    publish(write(store, CHANGED[change]), declared(), [book], who="me")
    with book.connect() as connection:
        assert connection.execute("SELECT obj_description('replicated.numbers'::regclass)").fetchone() == ("ours",)
        connection.execute("SET ROLE analyst")
        assert connection.execute("SELECT count(*) FROM replicated.numbers").fetchone() == (7,)
        assert connection.execute("SELECT count(*) FROM public.doubled").fetchone() == (7,)
        assert connection.execute("SELECT total FROM public.again").fetchone() == (0,)
        granted = "SELECT has_table_privilege('analyst', 'replicated.numbers', 'SELECT WITH GRANT OPTION')"
        assert connection.execute(granted).fetchone() == (True,)


def test_a_column_that_a_view_of_users_needs_cannot_go(store: SnapshotStore, book: Book) -> None:
    publish(write(store, numbered(5)), declared(), [book], who="me")
    with book.connect() as connection:
        connection.execute("CREATE VIEW public.words AS SELECT text FROM replicated.numbers")
    with pytest.raises(PublishError, match=r"view words, which reads replicated.numbers.*column.*text"):
        publish(write(store, CHANGED["a column less"]), declared(), [book], who="me")
    assert len(rows_of(book, "numbers")) == 5
    assert len(relations(book)) == 1


def test_another_relation_of_that_name_is_left_alone(store: SnapshotStore, book: Book) -> None:
    with book.connect() as connection:
        connection.execute("CREATE TABLE replicated.numbers (mine int)")
    with pytest.raises(PublishError, match=r"replicated.numbers: expected a view"):
        publish(write(store, numbered(5)), declared(), [book], who="me")
    assert relations(book) == {"numbers"}


def test_readers_belong_to_a_role_that_can_read_and_nothing_else(store: SnapshotStore, book: Book) -> None:
    publish(write(store, numbered(5)), declared(), [book], who="me")
    with book.connect() as connection:
        connection.execute("SET ROLE replicated_reader")
        physical = connection.execute("SELECT physical FROM replicated.current").fetchone()
        assert physical is not None
        for name in ("numbers", physical[0]):
            assert connection.execute(f'SELECT count(*) FROM replicated."{name}"').fetchone() == (5,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM replicated.current")


def test_a_long_reader_of_the_view_delays_the_switch_and_no_other_reader(store: SnapshotStore, book: Book) -> None:
    from concurrent.futures import ThreadPoolExecutor

    publish(write(store, numbered(5)), declared(), [book], who="me")
    with book.connect() as long, ThreadPoolExecutor(1) as pool:
        long.execute("SELECT FROM replicated.numbers")
        running = pool.submit(publish, write(store, numbered(6)), declared(), [book], who="me")
        with book.connect(autocommit=True) as quick:
            quick.execute("SET statement_timeout = '2s'")
            for _ in range(200):
                assert quick.execute("SELECT count(*) FROM replicated.numbers").fetchone() == (5,)
        assert not running.done()
        long.rollback()
        assert running.result(timeout=20)[0].rows == 6
