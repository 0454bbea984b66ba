"""The service on a real Ray Serve with HAProxy: predict, switch, survive the death of a replica."""

import http.client
import json
import os
import selectors
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import psycopg
import pytest

from penstock.client import Client, ServiceError
from penstock.serving.deploying.deploy import Rollout
from penstock.serving.on_ray.cluster import RayCluster
from penstock.testing import Story
from tests.engine.serving import toy
from tests.engine.serving.conftest import SPARE_FILES, wait_for
from tests.engine.serving.ray_service import ON_LOOPBACK, QUESTION, RayService, listening, processes, replicas, started

CONNECTIONS = """
SELECT application_name, count(*) FROM pg_stat_activity WHERE datname = current_database() GROUP BY 1
"""
MOST_BYTES_EACH = 30_000


@pytest.fixture(scope="module")
def ray_service(stack: None, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayService]:
    with started(postgres, tmp_path_factory.mktemp("ray")) as service:
        yield service


def connect(service: RayService) -> socket.socket:
    """A connection to HAProxy."""
    made = socket.create_connection(("127.0.0.1", service.settings.http_port), timeout=30)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def head(length: int) -> bytes:
    """The head of a request to predict, whose body has so many bytes."""
    return b"POST /models/overflow/predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % length


def answer(connection: socket.socket) -> tuple[int, str, Any]:
    """Status, content type and document of the next answer over a connection."""
    response = http.client.HTTPResponse(connection, method="POST")
    response.begin()
    return response.status, response.headers["content-type"], json.loads(response.read())


def readable(connections: list[socket.socket], seconds: float) -> list[socket.socket]:
    """Those over which something has come: as soon as it does, none after so many seconds."""
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection, selectors.EVENT_READ)
        ready = {key.fd for key, _ in selector.select(seconds)}
    return [connection for connection in connections if connection.fileno() in ready]


def backends(service: RayService) -> set[int]:
    """The replicas that HAProxy gives requests to."""
    return {service.http.get("/state", headers={"connection": "close"}).json()["replica"] for _ in range(20)}


class TestRayServe(Story):
    """One service from its first answer to the loss of its replicas; each step finds what the one before has left."""

    def test_it_predicts_through_haproxy_and_takes_a_release_without_a_restart(self, ray_service: RayService) -> None:
        first = ray_service.ask().json()
        assert (first["release"], first["unchanged"]) == (1, False)
        assert ray_service.ask().json() == first | {"unchanged": True}
        before = replicas(ray_service.settings)
        toy.release(ray_service.book, ray_service.settings.artifacts, ray_service.folder, version=2)
        assert wait_for(lambda: ray_service.ask().json()["release"] == 2)
        assert replicas(ray_service.settings) == before
        assert ray_service.ask(valve="x").status_code == 422

    def test_a_replica_is_one_application(self, ray_service: RayService) -> None:
        """Ray Serve runs the application's own start: what also started it had every lane and watcher twice."""
        assert ray_service.ask().status_code == 200
        with psycopg.connect(ray_service.book.url) as connection:
            opened = dict(connection.execute(CONNECTIONS).fetchall())
        assert len(replicas(ray_service.settings)) == 1
        assert (opened["penstock watcher"], opened["penstock lookups"]) == (1, 1)

    def test_replicas_and_haproxy_come_no_later_than_other_programs(self, ray_service: RayService) -> None:
        """Ray's own niceness of 15 leaves a replica almost nothing of a machine on which anything else works."""
        head = RayCluster(ray_service.settings).find()
        raylet = head.parts[-1].process() if head else None
        assert raylet is not None
        found = {process.name(): process.nice() for process in raylet.children(recursive=True)}
        serving = {name: nice for name, nice in found.items() if name.startswith(("ray::ServeReplica", "haproxy"))}
        assert len(serving) == 2
        assert set(serving.values()) == {os.getpriority(os.PRIO_PROCESS, 0)}

    def test_requests_take_the_short_way_and_rays_own_paths_do_not(self, ray_service: RayService) -> None:
        """Ray's way would add its own X-Request-ID to the one of the application."""
        answer = ray_service.http.get("/healthz", headers={"x-request-id": "one"})
        assert answer.headers.get_list("x-request-id") == ["one"]
        assert ray_service.http.get("/-/routes").json() == {"/": "penstock"}

    def test_everything_listens_on_loopback_alone(self, ray_service: RayService) -> None:
        assert listening(ray_service.settings) <= ON_LOOPBACK

    def test_ten_thousand_idle_and_unfinished_requests_stop_nobody(self, ray_service: RayService, many: int) -> None:
        """They wait in HAProxy, not in the slots of a replica, and not for ever."""
        (haproxy,) = processes(ray_service.settings, "/bin/haproxy ")
        before = haproxy.memory_info().rss
        with ExitStack() as held:
            connections = [held.enter_context(connect(ray_service)) for _ in range(many)]
            for connection in connections[::2]:
                connection.sendall(head(900) + b"{")
            assert ray_service.ask().status_code == 200
            assert haproxy.num_fds() > many
            assert haproxy.memory_info().rss - before < many * MOST_BYTES_EACH
            status, kind, problem = answer(connections[0])
            assert (status, kind, problem["status"]) == (408, "application/problem+json", 408)
            assert connections[1].recv(1) == b"", "one that asked nothing is told nothing"
        wait_for(lambda: haproxy.num_fds() < SPARE_FILES, 60)

    def test_what_is_stored_of_the_head_holds_no_secrets(self, ray_service: RayService) -> None:
        found = RayCluster(ray_service.settings).find()
        assert found is not None
        assert {name.partition("_")[0] for name in found.switches} == {"RAY"}
        assert ray_service.settings.prod_url not in (ray_service.settings.state / "ray.json").read_text()

    def test_a_killed_only_replica_is_replaced(self, ray_service: RayService) -> None:
        """Requests in flight may break; what is answered until another is there is a 503."""
        (killed,) = replicas(ray_service.settings)
        os.kill(killed, signal.SIGKILL)

        def answered() -> bool:
            try:
                answer = httpx.post(f"{ray_service.http.base_url}/models/overflow/predict", json=QUESTION, timeout=30)
            except httpx.TransportError:
                return False
            assert answer.status_code in {200, 503}
            return answer.status_code == 200

        wait_for(answered, 60)
        assert replicas(ray_service.settings) != [killed]
        assert ray_service.ask().json()["release"] == 2

    def test_a_second_replica_starts_beside_the_first(self, ray_service: RayService) -> None:
        (first,) = wait_for(lambda: len(found := replicas(ray_service.settings)) == 1 and found, 30)
        config = ray_service.folder / "serve.yaml"
        config.write_text(config.read_text().replace("min_replicas: 1", "min_replicas: 2"))
        Rollout(ray_service.settings).apply(config)
        wait_for(lambda: len(replicas(ray_service.settings)) == 2, 60)
        assert first in replicas(ray_service.settings)
        wait_for(lambda: len(backends(ray_service)) == 2, 30)

    def test_of_two_replicas_one_may_be_killed(self, ray_service: RayService) -> None:
        """HAProxy repeats what was not answered: for who repeats nothing as well as for the client."""
        stop = threading.Event()
        broken: list[str] = []
        failed: list[str] = []
        answered = [0] * 4

        def post(number: int) -> None:
            while not stop.is_set():
                try:
                    answer = ray_service.ask(tank=f"t{number}", inflow=answered[number] % 1000)
                    if answer.status_code != 200:
                        failed.append(answer.text)
                except httpx.RemoteProtocolError as error:
                    broken.append(repr(error))
                answered[number] += 1

        def call(number: int) -> None:
            with Client(str(ray_service.http.base_url), "overflow", timeout=20) as client:
                while not stop.is_set():
                    try:
                        client.predict(QUESTION | {"tank": f"t{number}", "inflow": answered[number] % 1000})
                    except ServiceError as error:
                        failed.append(repr(error))
                    answered[number] += 1

        threads = [threading.Thread(target=ask, args=(n,)) for n, ask in enumerate((post, post, call, call))]
        for thread in threads:
            thread.start()
        try:
            wait_for(lambda: min(answered) > 20, 60)
            killed, kept = replicas(ray_service.settings)
            os.kill(killed, signal.SIGKILL)
            before = sum(answered)
            wait_for(lambda: sum(answered) > before + 200, 60)
            wait_for(lambda: len(set(replicas(ray_service.settings)) - {killed}) == 2, 90)
            assert kept in replicas(ray_service.settings)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not failed, f"{len(failed)} of {sum(answered)}: {failed[:3]}"
        assert not broken, broken

    @pytest.mark.parametrize("rows", [1, 500])
    def test_what_a_killed_replica_had_not_answered_another_one_answers(
        self, ray_service: RayService, rows: int
    ) -> None:
        """Also where the client sends head and body apart, as plain clients do."""
        asked = [QUESTION | {"tank": f"t{n % 50}", "inflow": n} for n in range(rows)]
        body = json.dumps(asked if rows > 1 else asked[0]).encode()
        wait_for(lambda: len(backends(ray_service)) == 2, 60)
        stopped, _ = replicas(ray_service.settings)
        with ExitStack() as held:
            os.kill(stopped, signal.SIGSTOP)
            connections = [held.enter_context(connect(ray_service)) for _ in range(8)]
            for connection in connections:
                connection.sendall(head(len(body)))
                time.sleep(0.02)
                connection.sendall(body)
            waiting = connections
            while len(waiting) > 4:
                answered = readable(waiting, 20)
                assert answered, f"{len(waiting)} of 8 wait, 4 of them at the stopped replica"
                assert {answer(connection)[0] for connection in answered} == {200}
                waiting = [connection for connection in waiting if connection not in answered]
            os.kill(stopped, signal.SIGKILL)
            assert [answer(connection)[0] for connection in waiting] == [200] * len(waiting)
