"""PENSTOCK_HTTP_HOST beyond loopback, on one machine: HAProxy alone is reached from elsewhere, and demands keys."""

import hashlib
from collections.abc import Iterator

import pytest

from benchmarks.chaos.nodes import hindrance
from penstock.testing import Story
from tests.engine.serving.attack import WITHOUT_KEY, attack, listening
from tests.engine.serving.ray_service import QUESTION, RayService, cluster_processes, started

KEY = "a key"


@pytest.fixture(scope="module")
def opened(stack: None, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayService]:
    folder = tmp_path_factory.mktemp("open")
    keys = folder / "api-keys"
    keys.write_text(hashlib.sha256(KEY.encode()).hexdigest())
    with started(postgres, folder, http_host="0.0.0.0", api_keys_file=str(keys)) as service:
        yield service


class TestOpenHost(Story):
    def test_it_answers_who_has_a_key(self, opened: RayService) -> None:
        """Seen: replicas closed their own port, which Ray had opened to all, and every request was a 503."""
        answer = opened.http.post("/models/overflow/predict", json=QUESTION, headers={"x-api-key": KEY})
        assert (answer.status_code, answer.json()["release"]) == (200, 1)
        assert opened.ask().status_code == 401

    def test_from_elsewhere_only_its_port_is_reached(
        self, opened: RayService, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """Seen: the proxy that Ray keeps beside HAProxy listened to all, and told the routes."""
        if reason := hindrance():
            pytest.skip(reason)
        port, ports = opened.settings.http_port, listening(cluster_processes(opened.settings))
        assert len(ports) > 5
        assert attack(tmp_path_factory.mktemp("attack"), port, ports) == ([port], WITHOUT_KEY)
