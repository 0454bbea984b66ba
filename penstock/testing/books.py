"""A real Postgres, one server per session, and books in it, each a database of its own."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from penstock.postgres import roles
from penstock.postgres.book import Book
from penstock.postgres.server import DEFAULTS, PostgresServer
from penstock.settings import BookName

TEMPLATE = "book_template"
MEMORY, LEAST_MEMORY = Path("/dev/shm"), 4e9  # noqa: S108  a folder of our own in it
PREFIX = "penstock-tests-"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The libpq URL of the database `postgres` of an embedded server that lives as long as the session.

    Its data is gone with the session. It is in memory where there is room, and is never written through to a disk.
    """
    in_memory = folder_in_memory()
    folder = in_memory or tmp_path_factory.mktemp("pg")
    server = PostgresServer(folder / "data", folder / "log", DEFAULTS | {"fsync": "off", "max_wal_size": "256MB"})
    try:
        server.start()
        yield server.url("postgres")
    finally:
        server.remove()
        if in_memory:
            shutil.rmtree(in_memory, ignore_errors=True)


def folder_in_memory() -> Path | None:
    """A new folder of this process in memory; None where there is no such place or little room. A book is some 500
    files: on a disk that others use as well, making and dropping one takes ten times as long.

    What processes of this user that were killed have left there is removed.
    """
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < LEAST_MEMORY:
        return None
    for left in MEMORY.glob(f"{PREFIX}*"):
        pid = left.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)) and left.stat().st_uid == os.getuid():
            shutil.rmtree(left, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=MEMORY))
    made.chmod(0o711)  # where root runs tests, the server's own user has to come through
    return made


@pytest.fixture
def new_database(postgres: str) -> Iterator[Callable[[], str]]:
    """A function that creates an empty database and returns its URL. All of them are dropped after the test."""
    urls: list[str] = []

    def create() -> str:
        urls.append(create_database(postgres))
        return urls[-1]

    yield create
    drop_databases(postgres, urls)


@pytest.fixture
def book(postgres: str) -> Iterator[Book]:
    """A TEST book in which nothing is published or released yet. Its database is dropped after the test."""
    created = create_book(postgres, "test")
    yield created
    drop_databases(postgres, [created.url])


@pytest.fixture
def prod_book(postgres: str) -> Iterator[Book]:
    """A PROD book in which nothing is published or released yet. Its database is dropped after the test."""
    created = create_book(postgres, "prod")
    yield created
    drop_databases(postgres, [created.url])


def create_book(postgres: str, name: BookName) -> Book:
    """An empty book that lives as long as the server, for fixtures of a wider scope than one test.

    It is a copy of one that is brought to the newest version once per session, which is faster than doing so again.
    """
    with psycopg.connect(postgres, autocommit=True) as connection:
        known = connection.execute("SELECT FROM pg_database WHERE datname = %s", (TEMPLATE,)).fetchone()
    if known is None:
        Book("test", create_database(postgres, TEMPLATE)).migrate()
    return Book(name, create_database(postgres, template=TEMPLATE))


def as_member(book: Book, role: str, login: str = "") -> Book:
    """The same book, connected as a login that is a member of this role and of no other. The book gets the roles.

    The roles are those of `penstock.postgres.roles`: PIPELINE, SERVICE, READER and MIGRATE.
    """
    login = login or f"only_{role}"
    with psycopg.connect(book.url, autocommit=True) as connection:
        connection.execute(roles.script().encode())
        if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (login,)).fetchone() is None:
            connection.execute(f"CREATE ROLE {login} LOGIN IN ROLE {role}".encode())
    return Book(book.name, book.url.replace("//postgres@", f"//{login}@"))


def create_database(postgres: str, name: str = "", *, template: str = "template1") -> str:
    """Create a database, by default one of a name that is free, and return its URL."""
    name = name or f"t{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
    return postgres.replace("/postgres?", f"/{name}?")


def drop_databases(postgres: str, urls: list[str]) -> None:
    """Drop databases by URL, also while somebody is connected to them."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        for url in urls:
            name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
