"""The toy model on a real Ray Serve with HAProxy, for the tests that need one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from penstock.postgres import roles
from penstock.postgres.book import Book
from penstock.processes import free_port
from penstock.serving.deploying.deploy import Rollout
from penstock.serving.on_ray.cluster import RayCluster
from penstock.settings import Settings
from penstock.testing import as_member, create_book
from tests.checkout import ROOT
from tests.engine.running import listening as sockets_of
from tests.engine.serving import toy

QUESTION = {"tank": "t7", "valve": 3, "asked_at": "2026-01-01T05:30:00Z"}
ON_LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


class RayService:
    """A running cluster with its book."""

    def __init__(self, settings: Settings, book: Book, folder: Path) -> None:
        self.settings, self.book, self.folder = settings, book, folder
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{settings.http_port}", timeout=30)

    def ask(self, **fields: Any) -> httpx.Response:
        return self.http.post("/models/overflow/predict", json=QUESTION | fields)


@contextmanager
def started(postgres: str, folder: Path, **more: Any) -> Iterator[RayService]:
    """A head with one replica of the toy model, over a new database, with `more` settings."""
    book = create_book(postgres, "prod")
    served = as_member(book, roles.SERVICE).url
    settings = Settings(
        home=folder,
        http_port=free_port(),
        test_url=served,
        prod_url=served,
        dagster_url=book.url,
        artifacts_url=str(folder / "store"),
        **more,
    )
    toy.publish_all(book)
    toy.release(book, settings.artifacts, folder)
    os.environ["PENSTOCK_ARTIFACTS_URL"] = settings.artifacts
    config = folder / "serve.yaml"
    text = (ROOT / "serve_app" / "serve_config.yaml").read_text().replace("min_replicas: 2", "min_replicas: 1")
    config.write_text(text.replace("serve_app.deployment:build", "tests.engine.serving.toy_deployment:build"))
    try:
        RayCluster(settings).start()
        Rollout(settings).apply(config)
        yield RayService(settings, book, folder)
    finally:
        RayCluster(settings).stop()
        del os.environ["PENSTOCK_ARTIFACTS_URL"]


def replicas(settings: Settings) -> list[int]:
    """The pids of this home's replicas."""
    return [process.pid for process in processes(settings, "ServeReplica")]


def processes(settings: Settings, part: str) -> list[psutil.Process]:
    """The processes below this home's head whose command has `part`."""
    head = RayCluster(settings).find()
    assert head is not None
    raylet = head.parts[-1].process()
    assert raylet is not None
    found: list[psutil.Process] = []
    for process in raylet.children(recursive=True):
        with suppress(psutil.Error):  # just killed, or not yet collected
            found += [process] if part in " ".join(process.cmdline()) else []
    return found


def cluster_processes(settings: Settings) -> list[psutil.Process]:
    """The head of this home and all that it started."""
    found = RayCluster(settings).find()
    assert found is not None
    running: list[psutil.Process] = []
    for part in found.parts:
        process = part.process()
        assert process is not None
        running += [process, *process.children(recursive=True)]
    return running


def listening(settings: Settings) -> set[str]:
    """The addresses on which this home's processes listen."""
    hosts = {address.ip for address in sockets_of(cluster_processes(settings))}
    assert hosts
    return hosts
