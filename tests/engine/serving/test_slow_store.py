"""A slow, failing or lying store takes no replica out of rotation, and leaves no half object."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.postgres.book import Book
from penstock.releases.artifacts import sha256_of
from penstock.serving import app
from penstock.serving.models import fetching
from tests.engine.s3 import Fault, FaultyStore, faulty_store
from tests.engine.serving import toy
from tests.engine.serving.conftest import Service, Start, wait_for
from tests.slow import slow_after


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyStore]:
    monkeypatch.setattr(fetching, "RETRY_SECONDS", 0.5)
    monkeypatch.setattr(fetching, "SLOW_SECONDS", 0.5)
    with faulty_store(monkeypatch) as made:
        yield made


@pytest.fixture
def service(store: FaultyStore, start: Start, book: Book, tmp_path: Path) -> Service:
    """A service whose releases are in the store."""
    toy.publish_all(book)
    toy.release(book, store.url, tmp_path)
    made = start(artifacts_url=store.url)
    assert made.ask().json()["release"] == 1
    return made


def cached(service: Service) -> list[Path]:
    return sorted(service.settings.artifact_cache.iterdir())


@pytest.mark.slow
def test_a_release_is_fetched_beside_serving_and_served_when_it_is_whole(
    service: Service, store: FaultyStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.fault, store.seconds = "slow", 3.0
    service.release(2)
    wait_for(lambda: len(store.reads) > 1)
    began, answers = time.monotonic(), 0
    while service.serves() == 1:
        answers += 1
        assert service.ask(inflow=float(answers % 1000)).status_code == 200
        assert service.http.get("/readyz").status_code == 200
        assert time.monotonic() - began < 20
    assert answers > 5
    assert time.monotonic() - began > 2
    assert service.ask().json()["release"] == 2
    assert "release 2 of overflow is still being fetched from s3://bucket/penstock" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("fault", slow_after(1, ["failing", "breaking off", "lying"]))
def test_a_release_that_cannot_be_read_whole_is_said_and_served_once_it_can(
    service: Service, store: FaultyStore, fault: Fault
) -> None:
    before = cached(service)
    assert len(before) == 1
    store.fault = fault
    digest = service.release(2)
    wait_for(lambda: service.http.get("/readyz").json()["refused"].get("overflow"), 30)
    assert service.http.get("/readyz").status_code == 200
    assert service.ask().json()["release"] == 1
    assert cached(service) == before, "nothing of what came"
    store.fault = ""
    wait_for(lambda: service.serves() == 2, 30)
    assert {path.stem: sha256_of(path) for path in cached(service)}[digest] == digest


@pytest.mark.slow
def test_a_replica_that_starts_waits_for_a_slow_store_before_it_gets_requests(
    service: Service, store: FaultyStore, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "LOAD_SECONDS", 0.5)
    for path in cached(service):
        path.unlink()
    store.fault, store.seconds = "slow", 2.0
    second = start(artifacts_url=store.url)
    assert second.ask().json()["release"] == 1
    assert second.http.get("/readyz").status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["failing", "breaking off", "lying"])
def test_a_replica_that_starts_gets_no_request_while_the_store_fails(
    service: Service, store: FaultyStore, start: Start, fault: Fault
) -> None:
    for path in cached(service):
        path.unlink()
    store.fault = fault

    def mend() -> None:
        store.fault = ""

    mending = threading.Timer(3.0, mend)
    mending.start()
    second = start(artifacts_url=store.url)
    assert second.ask().json()["release"] == 1
    mending.join()


@pytest.mark.slow
def test_a_replica_that_starts_does_not_wait_for_ever(
    service: Service, store: FaultyStore, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "FIRST_FETCH_SECONDS", 1.0)
    for path in cached(service):
        path.unlink()
    store.fault = "failing"
    second = start(artifacts_url=store.url)
    assert second.ask().status_code == 503
    assert second.http.get("/readyz").json()["models"]["overflow"].startswith("release 1 cannot be served: ")
