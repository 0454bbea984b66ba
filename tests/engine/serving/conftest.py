"""A service of the toy model under bare uvicorn, on a book of its own."""

import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from penstock.contract.contract import Contract
from penstock.postgres import roles
from penstock.postgres.book import Book
from penstock.serving.app import App
from penstock.settings import Settings
from penstock.testing import as_member, create_book, uvicorn_thread, wait_for
from tests.engine.serving import toy

CONNECTIONS = 10_000
SPARE_FILES = 500


@dataclass
class Service:
    """A running service with its book and stores."""

    book: Book
    settings: Settings
    contract: Contract
    folder: Path
    http: httpx.Client
    app: App

    def ask(self, **fields: Any) -> httpx.Response:
        """Post one request, with defaults."""
        body = {"tank": "t7", "valve": 3, "inflow": 40.0, "asked_at": "2026-01-01T05:30:00Z"} | fields
        return self.http.post(f"/models/{self.contract.model}/predict", json=body)

    def ask_many(self, inflows: range) -> list[dict[str, Any]]:
        """Post one array, a different entity for each; returns the answers."""
        many = [
            {"tank": f"t{n % 50}", "valve": n // 50, "inflow": n % 1000, "asked_at": "2026-01-01T05:30:00Z"}
            for n in inflows
        ]
        answered = self.http.post(f"/models/{self.contract.model}/predict", json=many)
        assert answered.status_code == 200, answered.text
        return list(answered.json())

    def release(self, version: int, **options: Any) -> str:
        """Make a version current."""
        options = {"contract": self.contract} | options
        return toy.release(self.book, self.settings.artifacts, self.folder, version=version, **options)

    def wait_for_tables(self) -> None:
        """Wait until lookups are answered from memory."""

        def there() -> bool:
            state = self.app.models[self.contract.model].state
            return state is not None and state.in_memory

        wait_for(there)

    def serves(self) -> int:
        """The release that the replica serves."""
        release = self.app.models[self.contract.model].release
        return release.number if release else 0

    def journal(self) -> int:
        """How many predictions the journal holds."""
        with self.book.connect() as connection:
            found = connection.execute("SELECT count(*) FROM app.prediction").fetchone()
        assert found is not None
        return int(found[0])


Start = Callable[..., Service]


@pytest.fixture
def start(book: Book, tmp_path: Path) -> Iterator[Start]:
    """A function that starts the service, as a login that may do what the service does and nothing else; another call
    returns a second replica over the same book."""
    running: list[Any] = []

    def begin(contract: Contract = toy.CONTRACT, url: str = "", **settings: Any) -> Service:
        made = Settings(home=tmp_path / "home", **settings)
        app = App(made, url or as_member(book, roles.SERVICE).url, {contract.model: contract})
        context = uvicorn_thread(app)
        port = context.__enter__()
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        running.append((context, client))
        return Service(book, made, contract, tmp_path, client, app)

    yield begin
    for context, client in running:
        client.close()
        context.__exit__(None, None, None)


@pytest.fixture
def service(start: Start, book: Book, tmp_path: Path) -> Service:
    """A service with its tables published and its first release current."""
    toy.publish_all(book)
    toy.release(book, str(tmp_path / "home" / "artifacts"), tmp_path)
    return start()


@pytest.fixture(scope="session")
def shared(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all tests that only ask: nothing is released or published while it runs."""
    folder = tmp_path_factory.mktemp("shared")
    book = create_book(postgres, "test")
    made = Settings(home=folder / "home")
    toy.publish_all(book)
    toy.release(book, made.artifacts, folder)
    app = App(made, as_member(book, roles.SERVICE).url, {toy.CONTRACT.model: toy.CONTRACT})
    with (
        uvicorn_thread(app) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        yield Service(book, made, toy.CONTRACT, folder, client, app)


@pytest.fixture
def many() -> Iterator[int]:
    """How many connections this process and its children may hold open each, up to CONNECTIONS."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield min(CONNECTIONS, hard - SPARE_FILES if hard != resource.RLIM_INFINITY else CONNECTIONS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
