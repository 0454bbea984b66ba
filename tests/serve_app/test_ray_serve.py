"""The service on a real Ray Serve with HAProxy: predict, switch, survive the death of a replica."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
import toy
from conftest import wait_for

from resources.book import Book
from resources.processes import free_port
from resources.settings import ROOT, Settings
from serve_app import cluster

pytestmark = pytest.mark.stack


class RayService:
    """A running cluster with its book."""

    def __init__(self, settings: Settings, book: Book, folder: Path) -> None:
        self.settings, self.book, self.folder = settings, book, folder
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{settings.http_port}", timeout=30)

    def ask(self, **fields: Any) -> httpx.Response:
        body = {"tank": "t7", "valve": 3, "asked_at": "2026-01-01T05:30:00Z"} | fields
        return self.http.post("/models/overflow/predict", json=body)


@pytest.fixture(scope="module")
def ray_service(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayService]:
    folder = tmp_path_factory.mktemp("ray")
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE ray_book")
    url = postgres.replace("/postgres?", "/ray_book?")
    book = Book("prod", url)
    book.ensure()
    settings = Settings(
        home=folder,
        http_port=free_port(),
        test_url=url,
        prod_url=url,
        dagster_url=url,
        artifacts_url=str(folder / "store"),
    )
    toy.publish_all(book)
    toy.release(book, settings.artifacts, folder)
    os.environ["PENSTOCK_ARTIFACTS_URL"] = settings.artifacts
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    config = folder / "serve.yaml"
    text = (ROOT / "serve_app" / "serve_config.yaml").read_text()
    config.write_text(text.replace("serve_app.deployment:build", "toy_deployment:build"))
    try:
        cluster.start(settings)
        cluster.apply(settings, config)
        yield RayService(settings, book, folder)
    finally:
        cluster.stop(settings)
        del os.environ["PENSTOCK_ARTIFACTS_URL"], os.environ["PYTHONPATH"]


def replicas(settings: Settings) -> list[int]:
    """The pids of this home's replicas."""
    found = cluster.find(settings)
    assert found is not None
    raylet = found.parts[-1].process()
    assert raylet is not None
    return [p.pid for p in raylet.children(recursive=True) if "ServeReplica" in " ".join(p.cmdline())]


def test_it_predicts_through_haproxy_and_takes_a_release_without_a_restart(ray_service: RayService) -> None:
    first = ray_service.ask().json()
    assert (first["release"], first["unchanged"]) == (1, False)
    assert ray_service.ask().json() == first | {"unchanged": True}
    before = replicas(ray_service.settings)
    toy.release(ray_service.book, ray_service.settings.artifacts, ray_service.folder, version=2)
    assert wait_for(lambda: ray_service.ask().json()["release"] == 2)
    assert replicas(ray_service.settings) == before
    assert ray_service.ask(valve="x").status_code == 422


def test_everything_listens_on_loopback_alone(ray_service: RayService) -> None:
    found = cluster.find(ray_service.settings)
    assert found is not None
    processes: list[psutil.Process] = []
    for part in found.parts:
        process = part.process()
        assert process is not None
        processes += [process, *process.children(recursive=True)]
    hosts = {
        c.laddr.ip for p in processes for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN and c.laddr
    }
    assert hosts <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def test_a_killed_replica_is_replaced(ray_service: RayService) -> None:
    (killed,) = replicas(ray_service.settings)
    os.kill(killed, signal.SIGKILL)

    def answered() -> bool:
        try:
            answer = ray_service.ask(inflow=77)
        except httpx.RemoteProtocolError:
            return False  # HAProxy hangs up on a kept-alive connection whose only replica died
        assert answer.status_code in {200, 503}, "clear until another replica is there"
        return answer.status_code == 200

    wait_for(answered, 60)
    assert replicas(ray_service.settings) != [killed]
    assert ray_service.ask().json()["release"] == 2
