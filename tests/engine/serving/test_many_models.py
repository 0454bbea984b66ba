"""Many models in one replica: its connections to Postgres are bounded, and no model takes another one down."""

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from penstock.contract.contract import Columns, Contract
from penstock.postgres import roles
from penstock.postgres.book import Book
from penstock.releases.artifacts import ArtifactStore
from penstock.serving import app
from penstock.serving.app import App
from penstock.serving.models import connections, fetching
from penstock.serving.models.connections import LEAST, OWN, Connections, ConnectionsInUse
from penstock.settings import Settings
from penstock.testing import as_member, uvicorn_thread, wait_for
from tests.engine.serving import toy

MANY = 30
MOST = 8
BODY = {"tank": "t7", "valve": 3, "inflow": 40.0, "asked_at": "2026-01-01T05:30:00Z"}


@dataclass
class Replica:
    """A replica of several models, and those who ask it."""

    book: Book
    http: httpx.Client
    app: App
    names: list[str]
    most_seen: int = 0
    statuses: list[int] = field(default_factory=list)

    def ask(self, model: str, body: Any = None, **fields: Any) -> httpx.Response:
        """Post one request, or a body."""
        return self.http.post(f"/models/{model}/predict", json=body if body is not None else BODY | fields)

    def connections(self) -> int:
        """How many connections of the replica the server has now."""
        with self.book.connect() as connection:
            found = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name LIKE 'penstock %%' AND pid <> pg_backend_pid()"
            ).fetchone()
        assert found is not None
        return int(found[0])


Begin = Callable[..., Replica]


@pytest.fixture
def begin(book: Book, tmp_path: Path) -> Iterator[Begin]:
    """A function that starts a replica of models that all are the toy, each with a release."""
    with ExitStack() as running:

        def start(contracts: list[Contract], connections: int = MOST, unready: Collection[str] = ()) -> Replica:
            settings = Settings(home=tmp_path / "home")
            toy.publish_all(book)
            digest = toy.release(book, settings.artifacts, tmp_path, contract=contracts[0])
            digests = {"broken": "0" * 64}
            for one in contracts[1:]:
                if one.model != "unreleased":
                    toy.release(book, settings.artifacts, tmp_path, contract=one, digest=digests.get(one.model, digest))
            by_name = {one.model: one for one in contracts}
            app = App(settings, as_member(book, roles.SERVICE).url, by_name, connections)
            port = running.enter_context(uvicorn_thread(app))
            http = running.enter_context(
                httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, limits=httpx.Limits(max_connections=None))
            )
            replica = Replica(book, http, app, list(by_name))
            ready = [model for name, model in app.models.items() if name not in unready]
            assert ready
            wait_for(lambda: all(model.state is not None for model in ready), 20)
            return replica

        yield start


def named(model: str, **changed: Any) -> Contract:
    """The toy under another name."""
    return msgspec.structs.replace(toy.CONTRACT, model=model, **changed)


@pytest.mark.slow
def test_connections_do_not_grow_with_the_models(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "WAIT_SECONDS", 20.0)
    replica = begin([named(f"model_{n}") for n in range(MANY)])
    array = [BODY | {"tank": f"t{n % 50}", "valve": n // 50} for n in range(1200)]
    with ThreadPoolExecutor(MANY + 4) as threads:
        singles = [threads.submit(replica.ask, name, inflow=n) for n in range(3) for name in replica.names]
        arrays = [threads.submit(replica.ask, name, array) for name in replica.names[:4]]
        seen = []
        while len([one for one in [*singles, *arrays] if one.done()]) < 3 * MANY + 4:
            seen.append(replica.connections())
            time.sleep(0.005)
    answers = [one.result() for one in [*singles, *arrays]]
    assert {answer.status_code for answer in answers} == {200}
    assert len(answers) == 3 * MANY + 4
    assert 2 < max(seen) <= MOST


@pytest.mark.slow
def test_models_that_hang_in_postgres_stop_no_other_one(begin: Begin) -> None:
    hanging = [f"hangs_{n}" for n in range(MOST)]
    replica = begin([named(name) for name in [*hanging, "well"]])
    assert {replica.ask(name).status_code for name in replica.names} == {200}
    with replica.book.connect() as blocker, ThreadPoolExecutor(2 * len(hanging)) as threads:
        blocker.autocommit = False
        blocker.execute("SELECT 1 FROM app.latest_answer WHERE model LIKE 'hangs%%' FOR UPDATE")
        until = time.monotonic() + 4
        refused = [threads.submit(ask_until, replica, name, until) for name in hanging for _ in range(2)]
        time.sleep(1.5)  # each was given up as late once
        well = [(answer.status_code, answer.elapsed.total_seconds()) for answer in ask_often(replica, "well", until)]
        statuses = {status for one in refused for status in one.result()}
        blocker.rollback()
    assert statuses == {503}
    assert len(well) > 20
    assert {status for status, _ in well} == {200}
    assert max(seconds for _, seconds in well) < 0.5
    wait_for(lambda: all(replica.ask(name, inflow=-0.0).status_code == 200 for name in hanging) and bool(hanging))


def ask_until(replica: Replica, model: str, until: float) -> list[int]:
    return [answer.status_code for answer in ask_often(replica, model, until)]


def ask_often(replica: Replica, model: str, until: float) -> Iterator[httpx.Response]:
    n = 0
    while time.monotonic() < until:
        n += 1
        yield replica.ask(model, inflow=n % 1000)


def sleeping(columns: Columns) -> Columns:
    time.sleep(1.5)
    return toy.features(columns)


@pytest.mark.slow
def test_a_model_whose_features_take_long_stops_no_other_one_and_says_so(begin: Begin) -> None:
    replica = begin([named("sleeps", compute=sleeping), named("well")])
    until = time.monotonic() + 3
    with ThreadPoolExecutor(4) as threads:
        slow = [threads.submit(ask_until, replica, "sleeps", until) for _ in range(4)]
        time.sleep(0.2)
        well = [(answer.status_code, answer.elapsed.total_seconds()) for answer in ask_often(replica, "well", until)]
    assert {status for one in slow for status in one.result()} == {503}
    assert len(well) > 50
    assert {status for status, _ in well} == {200}
    assert max(seconds for _, seconds in well) < 0.5
    refused = replica.ask("sleeps").json()
    assert refused["type"].endswith(":too-slow")
    assert "sleeps" in replica.http.get("/readyz").json()["late"]
    assert "'sleeps': features and prediction took longer than 0.8 s" in refused["detail"]


def failing(_: Columns) -> Columns:
    raise ImportError("no module named 'gone'")


def test_models_that_cannot_be_served_stop_no_other_one_and_are_named(begin: Begin) -> None:
    bad = ["broken", "unreleased"]
    replica = begin([named("well"), *map(named, bad), named("fails", compute=failing)], unready=bad)
    wait_for(lambda: replica.http.get("/readyz").status_code == 200)
    for n in range(3):
        assert replica.ask("well", inflow=n).status_code == 200
        assert [replica.ask(name, inflow=n).status_code for name in (*bad, "fails")] == [503, 503, 500]
    ready = replica.http.get("/readyz").json()
    assert ready["ready"]
    said = ready["models"]
    assert said["well"] == said["fails"] == "ready"
    assert said["unreleased"] == "no release yet"
    assert said["broken"].startswith("release 1 cannot be served: ")
    assert replica.http.get("/v2/health/ready").status_code == 200
    assert replica.http.get("/v2/models/broken/ready").status_code == 503
    assert replica.ask("broken").json()["type"].endswith(":release-refused")


@pytest.mark.slow
def test_a_store_that_hangs_for_one_model_keeps_no_other_one_waiting(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch, hung = ArtifactStore.fetch, threading.Event()

    def fetch_or_hang(store: ArtifactStore, digest: str, cache: Path) -> Path:
        if digest == "0" * 64:
            hung.wait()
        return fetch(store, digest, cache)

    monkeypatch.setattr(ArtifactStore, "fetch", fetch_or_hang)
    monkeypatch.setattr(fetching, "LOAD_SECONDS", 1.0)
    monkeypatch.setattr(app, "FIRST_FETCH_SECONDS", 2.0)
    try:
        replica = begin([named("well"), named("broken"), named("also_well")], unready=["broken"])
        assert replica.ask("also_well").status_code == 200
        wait_for(lambda: "nothing after 1 s" in replica.http.get("/readyz").json()["models"]["broken"])
        assert replica.http.get("/readyz").status_code == 200
        assert replica.ask("well").status_code == 200
    finally:
        hung.set()


@pytest.mark.slow
def test_a_model_has_half_of_the_pool_beyond_its_first_connection_and_what_is_free_is_used_again(postgres: str) -> None:
    async def use() -> None:
        connections = Connections(postgres, OWN + 4)
        one = [await connections.take("one") for _ in range(3)]
        with pytest.raises(ConnectionsInUse, match=r"3 of 4 connections are in use \(one 3\)"):
            await connections.take("one")
        other = await connections.take("other")
        with pytest.raises(ConnectionsInUse, match="4 of 4"):
            await connections.take("third")
        waiting = asyncio.create_task(connections.take("third"))
        await asyncio.sleep(0)
        other.whole = True
        connections.give_back(other)
        third = await waiting
        assert third.connection is other.connection
        for lease in [*one, third]:
            connections.give_back(lease)
        assert [lease.connection.is_closed() for lease in [*one, third]] == [True] * 4
        connections.stop()

    asyncio.run(use())


def test_a_model_finds_the_connection_that_has_its_statements(postgres: str) -> None:
    async def use() -> None:
        connections = Connections(postgres, OWN + 4)
        leases = [await connections.take(name) for name in ("one", "two", "three")]
        used = {lease.model: lease.connection for lease in leases}
        for lease in leases:
            lease.whole = True
            connections.give_back(lease)
        for name in ("two", "three", "one"):
            lease = await connections.take(name)
            assert lease.connection is used[name]
            lease.whole = True
            connections.give_back(lease)
        connections.stop()
        assert all(one.is_closed() for one in used.values())
        assert len(used) == 3

    asyncio.run(use())


def test_too_few_connections_are_refused() -> None:
    with pytest.raises(Exception, match=f"expected at least {LEAST}: {OWN} for the replica itself"):
        Connections("", LEAST - 1)
