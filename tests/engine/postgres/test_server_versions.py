"""Books on every major version of Postgres that is installed here: Debian's, and those of other packages."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import httpx
import psycopg
import pytest

from penstock.postgres import roles
from penstock.postgres.account import account
from penstock.postgres.book import Book, Books
from penstock.postgres.migrations import newest
from penstock.publish.publish import publish_group
from penstock.serving.app import App
from penstock.settings import Settings
from penstock.snapshots.store import SnapshotStore
from penstock.testing import as_member, uvicorn_thread
from penstock.verify.verify import verify
from tests.engine.postgres.tcp_server import DEBIAN, QUOTED, TcpServer
from tests.engine.publishing import declared, numbered, write
from tests.engine.serving import toy

pytestmark = pytest.mark.slow
OLD = sorted((Path(__file__).parent / "books").glob("*.sql"))


def programs() -> list[Path]:
    """Folders of servers' programs; the newest version is that of all other tests. PENSTOCK_TEST_POSTGRES adds some."""
    package = find_spec("pgserver")
    folders = package.submodule_search_locations if package else None
    named = [Path(text) for text in os.environ.get("PENSTOCK_TEST_POSTGRES", "").split(os.pathsep) if text]
    return [
        *(path.parent for path in DEBIAN),
        *(Path(folder) / "pginstall" / "bin" for folder in folders or ()),
        *named,
    ]


@pytest.fixture(scope="module", params=programs(), ids=str)
def server(request: pytest.FixtureRequest) -> Iterator[TcpServer]:
    """A server of one version, on a TCP port and with passwords, in a folder that its account can enter."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="ps-") as folder:
        Path(folder).chmod(0o755)
        made = TcpServer(Path(folder) / "server", programs=_reachable(request.param, Path(folder)))
        made.create()
        made.start()
        yield made
        made.remove()


def _reachable(programs: Path, folder: Path) -> Path:
    """The programs, or a copy of them where the server's account cannot enter their folder (root's home, umask 077)."""
    if account().runs([str(programs / "postgres"), "--version"]):
        return programs
    package = programs.parent.parent
    for name in (package.name, f"{package.name}.libs"):
        shutil.copytree(package.with_name(name), folder / name, symlinks=True)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    return folder / programs.relative_to(package.parent)


def database(server: TcpServer, name: str) -> str:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    return server.url(database=name)


@pytest.mark.parametrize("old", OLD, ids=lambda path: path.stem)
def test_a_book_of_every_earlier_version_is_migrated(server: TcpServer, old: Path) -> None:
    book = Book("prod", database(server, old.stem))
    with psycopg.connect(book.url) as connection:
        connection.execute(old.read_bytes())
    book.migrate()
    assert (book.version(), book.pending()) == (newest(), ())


def test_tables_are_published_verified_and_served_by_the_serving_role(server: TcpServer, tmp_path: Path) -> None:
    books = Books(Book("test", database(server, "test")), Book("prod", database(server, "prod")))
    for book in books:
        book.migrate()
    settings = Settings(home=tmp_path / "home")
    store = SnapshotStore(settings.snapshots)
    for rows in (10, 20):
        publish_group([(write(store, numbered(rows)), declared())], books.both, who="test", proven_in=books.test)
    assert [(one.equal, one.rows) for one in verify(books, store)] == [(True, 20)] * 2

    toy.publish_all(books.prod)
    toy.release(books.prod, settings.artifacts, tmp_path)
    as_member(books.prod, roles.SERVICE)
    with psycopg.connect(books.prod.url, autocommit=True) as connection:
        connection.execute(f"ALTER ROLE only_{roles.SERVICE} PASSWORD 'secret'".encode())
    url = books.prod.url.replace(f"postgres:{QUOTED}@", f"only_{roles.SERVICE}:secret@")
    app = App(settings, url, {toy.CONTRACT.model: toy.CONTRACT})
    with uvicorn_thread(app) as port:
        body = {"tank": "t7", "valve": 3, "inflow": 40.0, "asked_at": "2026-01-01T05:30:00Z"}
        answer = httpx.post(f"http://127.0.0.1:{port}/models/overflow/predict", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    with books.prod.connect() as connection:
        assert connection.execute("SELECT count(*) FROM app.prediction").fetchone() == (1,)
