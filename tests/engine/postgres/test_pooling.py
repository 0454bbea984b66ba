"""PgBouncer: a pooler that shares sessions is refused in one sentence by all that need their own; others are used."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from penstock.postgres import roles
from penstock.postgres.book import Book
from penstock.postgres.databases import Databases
from penstock.postgres.migrations import BookError
from penstock.publish.publish import publish
from penstock.settings import Settings
from penstock.snapshots.store import SnapshotStore
from penstock.testing import as_member
from tests.engine.postgres.pgbouncer import needs_pgbouncer, pgbouncer
from tests.engine.publishing import declared, numbered, rows_of, write
from tests.engine.serving import toy
from tests.engine.serving.conftest import Start, wait_for

pytestmark = needs_pgbouncer
REFUSED = r"expected a connection to Postgres itself.*found a pooler that gives the same session.*pool_mode = session"


@pytest.fixture
def pool(book: Book) -> Iterator[Callable[[str], Book]]:
    """The book through a PgBouncer of a pool mode."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        contexts = []

        def open_pool(mode: str, url: str = "") -> Book:
            context = pgbouncer(Path(folder) / mode, url or book.url, mode)
            contexts.append(context)
            return Book("test", context.__enter__())

        yield open_pool
        for context in contexts:
            context.__exit__(None, None, None)


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_a_pooler_of_less_than_sessions_is_refused_before_anything_is_changed(
    book: Book, pool: Callable[..., Book], tmp_path: Path, mode: str
) -> None:
    pooled = pool(mode)
    store = SnapshotStore(str(tmp_path / "snapshots"))
    snapshot = write(store, numbered(5))
    settings = Settings(home=tmp_path, test_url=pooled.url, prod_url=pooled.url, dagster_url=pooled.url)
    for use in (
        pooled.migrate,
        pooled.version,
        lambda: Databases(settings).open_books(),
        lambda: publish(snapshot, declared(), [pooled], who="me"),
    ):
        with pytest.raises(BookError, match=REFUSED):
            use()
    with book.connect() as connection:
        assert connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM replicated.current").fetchone() == (0,)
    with psycopg.connect(pooled.url, autocommit=True) as connection:
        assert connection.execute("SELECT current_setting('synchronous_commit')").fetchone() == ("on",)


def test_a_pooler_of_sessions_is_used_to_migrate_and_publish_and_nothing_stays_on_its_sessions(
    book: Book, pool: Callable[..., Book], tmp_path: Path
) -> None:
    pooled = pool("session")
    assert pooled.migrate() == ()
    store = SnapshotStore(str(tmp_path / "snapshots"))
    publish(write(store, numbered(5)), declared(), [pooled], who="me")
    assert len(rows_of(book, "numbers")) == 5
    wait_for(lambda: _advisory_locks(book) == 0)
    with psycopg.connect(pooled.url, autocommit=True) as connection:
        assert connection.execute("SELECT current_setting('synchronous_commit')").fetchone() == ("on",)


@pytest.mark.slow
def test_a_replica_behind_a_pooler_of_sessions_answers_and_behind_another_says_what_to_do(
    book: Book, pool: Callable[..., Book], start: Start, tmp_path: Path
) -> None:
    toy.publish_all(book)
    toy.release(book, str(tmp_path / "home" / "artifacts"), tmp_path)
    service_url = as_member(book, roles.SERVICE).url

    answering = start(url=pool("session", service_url).url)
    assert answering.ask().status_code == 200
    assert answering.journal() == 1

    refusing = start(url=pool("transaction", service_url).url)
    wait_for(lambda: "pool_mode = session" in refusing.http.get("/readyz").json()["trouble"])
    assert refusing.http.get("/readyz").status_code == 503
    assert refusing.ask().status_code == 503
    assert answering.journal() == 1


def _advisory_locks(book: Book) -> int:
    with book.connect() as connection:
        row = connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()
    assert row is not None
    return int(row[0])
