"""The prediction service in this process: the same application as in a replica of Ray Serve, under bare uvicorn."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn

from penstock.client import Client
from penstock.contract.contract import Contract
from penstock.postgres import roles
from penstock.serving.app import App
from penstock.testing.books import as_member
from penstock.testing.environment import System

START_SECONDS = 30
STOP_SECONDS = 10
TICK_SECONDS = 0.005


@dataclass(frozen=True)
class Service:
    """A running service of some models. `url` is for any HTTP client, `clients` has one per model."""

    url: str
    app: App
    clients: dict[str, Client]

    def client(self, model: str) -> Client:
        """The client that asks about one model."""
        return self.clients[model]


Serve = Callable[..., Service]


@pytest.fixture
def serve(system: System) -> Iterator[Serve]:
    """A function that serves contracts over the TEST book of `system`: `serve(CONTRACT).client("my_model")`.

    The service may do in the book what it does in production, and nothing else.
    The service answers with what is released and published there, also what becomes current while it runs. It lives
    in the time that `clock` had when it was started, and ends after the test.
    """
    with ExitStack() as running:

        def start(*contracts: Contract) -> Service:
            by_name = {contract.model: contract for contract in contracts}
            app = App(system.settings, as_member(system.test, roles.SERVICE).url, by_name)
            url = f"http://127.0.0.1:{running.enter_context(uvicorn_thread(app))}"
            return Service(url, app, {name: running.enter_context(Client(url, name)) for name in by_name})

        yield start


class QuickServer(uvicorn.Server):
    """One that ends within a few milliseconds: uvicorn's own looks ten times a second whether it should, and waits a
    tenth of a second more for requests under way, which a test has none of."""

    async def main_loop(self) -> None:
        """Go on until the server should exit."""
        await self.on_tick(0)
        while not self.should_exit:
            await asyncio.sleep(TICK_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, and end once the last is closed."""
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        while self.server_state.connections or self.server_state.tasks:
            await asyncio.sleep(TICK_SECONDS)
        await self.lifespan.shutdown()


@contextmanager
def uvicorn_thread(app: Any) -> Iterator[int]:
    """Serve an ASGI application on a free loopback port, which is returned, while the context is open."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, loop="uvloop", http="httptools", log_level="warning", lifespan="on")
    server = QuickServer(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    wait_for(lambda: server.started or not thread.is_alive(), START_SECONDS)
    assert thread.is_alive(), "The application failed while it started; its log says why."
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(STOP_SECONDS)


def wait_for(holds: Callable[[], Any], seconds: float = 5.0) -> Any:
    """Call a function until what it returns is true, and return that; AssertionError after `seconds`."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, f"waited {seconds:.0f} s in vain"
        time.sleep(0.005)
    return found
