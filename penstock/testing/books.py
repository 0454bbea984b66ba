"""Fixtures: a real Postgres that lives as long as the test session, and books in it. A pytest plugin."""

import uuid
from collections.abc import Callable, Iterator

import psycopg
import pytest

from penstock.postgres.book import Book
from penstock.postgres.server import DEFAULTS, PostgresServer


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The libpq URL of the `postgres` database of a real server that lives as long as the session."""
    folder = tmp_path_factory.mktemp("pg")
    server = PostgresServer(folder / "data", folder / "log", {**DEFAULTS, "fsync": "off"})
    server.start()
    try:
        yield server.url("postgres")
    finally:
        server.remove()


@pytest.fixture
def new_database(postgres: str) -> Iterator[Callable[[], str]]:
    """A function that creates an empty database and gives its URL; all are dropped after the test."""
    names: list[str] = []

    def create() -> str:
        name = f"t{uuid.uuid4().hex[:12]}"
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        names.append(name)
        return postgres.replace("/postgres?", f"/{name}?")

    yield create
    with psycopg.connect(postgres, autocommit=True) as connection:
        for name in names:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
def book(new_database: Callable[[], str]) -> Book:
    """An empty TEST book with both schemas."""
    made = Book("test", new_database())
    made.ensure()
    return made


@pytest.fixture
def prod_book(new_database: Callable[[], str]) -> Book:
    """An empty PROD book with both schemas."""
    made = Book("prod", new_database())
    made.ensure()
    return made
