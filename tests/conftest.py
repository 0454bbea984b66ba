"""The real parts that tests share, started once per session."""

import os
import uuid
from collections.abc import Callable, Iterator

import psycopg
import pytest
from hypothesis import settings as hypothesis_settings

from penstock.postgres.book import Book
from penstock.postgres.server import DEFAULTS, PostgresServer
from penstock.processes import let_waiting_threads_sleep

let_waiting_threads_sleep()  # before any test file loads scikit-learn
# Read by Ray when it is imported, which a test file may do before `penstock.training.on_ray` says the same: without it
# Ray looks for a head on 127.0.0.1 at the machine's outer address.
os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")

pytest_plugins = ["tests.example"]

# Machines that run tests are busy: how long one example takes says nothing.
hypothesis_settings.register_profile("house", deadline=None)
hypothesis_settings.load_profile("house")


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
    made.migrate()
    return made


@pytest.fixture
def prod_book(new_database: Callable[[], str]) -> Book:
    """An empty PROD book with both schemas."""
    made = Book("prod", new_database())
    made.migrate()
    return made
