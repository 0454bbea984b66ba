"""`make chaos-cluster` in short: an HAProxy and a node are killed, and clients that never ask twice see none of it."""

import hashlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from benchmarks.chaos.cluster_stand import HEADERS, KEY, ClusterStand
from benchmarks.chaos.nodes import hindrance, nodes
from benchmarks.chaos.open_postgres import opened
from benchmarks.service.clients import Clients, lost
from penstock.postgres.book import Book
from penstock.postgres.databases import Databases
from penstock.settings import Settings
from penstock.testing import Story, wait_for
from tests.checkout import PROJECT
from tests.engine.projects import run_in, write_project

RATE, CLIENTS, CALM_SECONDS = 40.0, 4, 1.5
CONTRACT = """from datetime import datetime
from typing import Annotated

import msgspec
from penstock.contract.contract import Contract, Feature, Output


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    n: float
    asked_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


def features(columns):
    return {"n": columns["n"]}


CONTRACT = Contract(
    model="doubled", purpose="A test.", request=Ask, entity=("n",), lookups=(), features=(Feature("n", "number"),),
    compute=features, output=Output("twice", "regressor"),
)
"""
CONFIG = """proxy_location: EveryNode
http_options: {host: 127.0.0.1, port: 8000}
applications:
  - name: penstock
    route_prefix: /
    import_path: serve_app.deployment:build
    args: {book: prod}
    deployments:
      - name: Predictions
        num_replicas: 2
        max_replicas_per_node: 1
        ray_actor_options: {num_cpus: 0.25}
"""
FILES = {
    "model_tools/doubled.py": CONTRACT,
    "serve_app/__init__.py": "",
    "serve_app/deployment.py": "from penstock.serving.deployment import build\n\n__all__ = ['build']\n",
    "serve_app/serve_config.yaml": CONFIG,
}
RELEASE = """
import os

import numpy as np
from sklearn.linear_model import LinearRegression

from model_tools.doubled import CONTRACT
from penstock.postgres.book import Book
from penstock.postgres.databases import Databases
from penstock.releases.artifacts import ArtifactStore
from penstock.testing.publishing import release_model

twice = LinearRegression().fit(np.array([[0.0], [1.0]]), np.array([0.0, 2.0]))
book = Book("prod", os.environ["PENSTOCK_PROD_URL"])
release_model(book, ArtifactStore(os.environ["PENSTOCK_ARTIFACTS_URL"]), CONTRACT, twice, "2026-01")
"""


@pytest.fixture(scope="class")
def stood(stack: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterStand]:
    if reason := hindrance():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("kills")
    settings = Databases(Settings(home=folder / "books", project=PROJECT)).resolve()
    for book in Databases(settings).books():
        book.migrate()
    keys = folder / "api-keys"
    keys.write_text(hashlib.sha256(KEY.encode()).hexdigest())
    try:
        with nodes(3, folder) as cluster, opened(settings, cluster.nodes[-1], cluster.network) as books:
            places = {"artifacts_url": str(folder / "artifacts"), "api_keys_file": str(keys)}
            reached = msgspec.structs.replace(books.settings, **places)
            *ray, last = cluster.nodes
            yield ClusterStand(reached, books, None, tuple(ray), last, folder, replicas=2, per_node=1)
    finally:
        Databases(settings).stop()


def question(client: int, n: int) -> bytes:
    """The body of a client's nth question, about an entity that no other question has."""
    return b'{"n":%d,"asked_at":"2026-01-01T00:00:00Z"}' % (client * 1_000_000 + n)


class TestKills(Story):
    def test_two_nodes_serve_a_project(self, stood: ClusterStand, tmp_path: Path) -> None:
        project = write_project(tmp_path / "project", FILES, declared='name = "doubled"')
        variables = {
            "PENSTOCK_PROD_URL": stood.settings.prod_url,
            "PENSTOCK_TEST_URL": stood.settings.test_url,
            "PENSTOCK_ARTIFACTS_URL": stood.settings.artifacts,
            "PENSTOCK_HOME": str(tmp_path / "operator"),
            **stood.token,
        }
        released = run_in(project, "-c", RELEASE, **variables)
        assert released.returncode == 0, released.stderr
        for node in stood.nodes:
            stood.start(node)
        for command in ("deploy", "apply"):
            done = run_in(project, "-m", "penstock", command, "--ray", stood.dashboard, **variables)
            assert done.returncode == 0, done.stdout + done.stderr
        assert "the same code and configuration" in done.stdout
        stood.wait_until_whole()

    def test_a_killed_haproxy_and_a_killed_node_fail_and_lose_nothing_through_the_other_entry(
        self, stood: ClusterStand
    ) -> None:
        head, worker = stood.nodes
        since, book = datetime.now(UTC), Book("prod", stood.settings.prod_url)
        with Clients(
            lambda: 8000,
            "/models/doubled/predict",
            question,
            count=CLIENTS,
            patient=False,
            rate=RATE,
            host=head.address,
            headers=HEADERS,
        ) as asking:
            time.sleep(CALM_SECONDS)
            killed = worker.named("/bin/haproxy ")
            for process in killed:
                process.kill()
            assert killed
            assert wait_for(
                lambda: {one.pid for one in worker.named("/bin/haproxy ")} - {one.pid for one in killed}, 10
            )
            time.sleep(CALM_SECONDS)
            assert worker.named("ServeReplica")
            worker.kill()
            time.sleep(4 * CALM_SECONDS)
            seen = asking.fresh()
        assert not worker.processes()
        assert not seen.troubles
        assert len(seen.given) > RATE
        found = lost(book, seen.given, since=since)
        assert found == {"answers": len(seen.given), "lost": 0, "journaled otherwise": 0, "duplicates": 0}
        assert max(seen.longest_pause(), seen.slowest) < 5
