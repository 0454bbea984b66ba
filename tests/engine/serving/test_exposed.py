"""A running Ray Serve that others reach over HTTPS: it answers them, and takes a renewed certificate.

Nothing else of it is reached from another machine, which is a network namespace here.
"""

import hashlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from benchmarks.chaos.nodes import hindrance
from penstock.processes import free_port
from penstock.testing import Story, wait_for
from tests.engine.postgres.certificates import Authority
from tests.engine.serving.attack import WITHOUT_KEY, attack, listening
from tests.engine.serving.ray_service import QUESTION, RayService, cluster_processes, processes, replicas, started

KEY = "a key"


@dataclass
class Exposed:
    """The service, where it listens with TLS, and who signed for that."""

    service: RayService
    port: int
    authority: Authority
    file: Path
    trusting: ssl.SSLContext

    def sign(self) -> None:
        self.file.write_text("".join(path.read_text() for path in self.authority.sign("localhost")))

    def serial(self) -> str:
        with socket.create_connection(("127.0.0.1", self.port), 5) as plainly:
            secured = self.trusting.wrap_socket(plainly, server_hostname="localhost")
            return str((secured.getpeercert() or {})["serialNumber"])

    def client(self) -> httpx.Client:
        url = f"https://localhost:{self.port}"
        return httpx.Client(base_url=url, verify=self.trusting, headers={"x-api-key": KEY}, timeout=30)


@pytest.fixture(scope="module")
def exposed(stack: None, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exposed]:
    folder, port = tmp_path_factory.mktemp("exposed"), free_port()
    authority, file, keys = Authority(folder / "authority"), folder / "tls.pem", folder / "api-keys"
    keys.write_text(hashlib.sha256(KEY.encode()).hexdigest())
    file.write_text("".join(path.read_text() for path in authority.sign("localhost")))
    settings = {"tls_file": str(file), "https_address": f"0.0.0.0:{port}", "api_keys_file": str(keys)}
    with started(postgres, folder, **settings) as service:
        yield Exposed(service, port, authority, file, ssl.create_default_context(cafile=str(authority.ca)))


class TestExposed(Story):
    def test_a_prediction_over_https_needs_a_key_on_both_ports(self, exposed: Exposed) -> None:
        with exposed.client() as client:
            answer = client.post("/models/overflow/predict", json=QUESTION)
            assert (answer.status_code, answer.json()["release"]) == (200, 1)
            refused = client.post("/models/overflow/predict", json=QUESTION, headers={"x-api-key": "another"})
        assert [refused.status_code, exposed.service.ask().status_code] == [401, 401]

    def test_a_renewed_certificate_is_taken_without_a_restart_or_a_failed_request(self, exposed: Exposed) -> None:
        before, settings = exposed.serial(), exposed.service.settings
        running = {*replicas(settings), *(one.pid for one in processes(settings, "/bin/haproxy "))}
        stop, statuses = threading.Event(), list[int]()

        def ask() -> None:
            with exposed.client() as client:
                while not stop.wait(0.02):
                    question = QUESTION | {"inflow": len(statuses) % 1000}
                    statuses.append(client.post("/models/overflow/predict", json=question).status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            exposed.sign()
            wait_for(lambda: exposed.serial() != before, 45)
        finally:
            stop.set()
            asking.join()
        assert len(statuses) > 10
        assert set(statuses) == {200}
        assert {*replicas(settings), *(one.pid for one in processes(settings, "/bin/haproxy "))} == running

    def test_from_elsewhere_only_the_port_with_tls_is_reached_and_says_nothing_without_a_key(
        self, exposed: Exposed, tmp_path: Path
    ) -> None:
        if reason := hindrance():
            pytest.skip(reason)
        ports = listening(cluster_processes(exposed.service.settings))
        assert {exposed.port, exposed.service.settings.http_port} < set(ports)
        opened, statuses = attack(tmp_path, exposed.port, ports, str(exposed.authority.ca))
        assert opened == [exposed.port]
        assert statuses == WITHOUT_KEY
