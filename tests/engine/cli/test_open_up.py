"""`penstock up` with PENSTOCK_HTTP_HOST beyond loopback: others reach the port of the service, and nothing else."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from benchmarks.chaos.nodes import hindrance
from penstock.processes import free_port
from penstock.scaffold.project import write_project
from penstock.testing import Story
from tests.engine.cli.conftest import processes_of
from tests.engine.projects import run_in
from tests.engine.serving.attack import WITHOUT_KEY, attack, listening

KEY = "a key"
PROGRAMS = ("dagster_webserver", "code-server", "gcs_server", "raylet", "haproxy", "ServeReplica")


@dataclass(frozen=True)
class Opened:
    """A project without a model that is up, and reached from elsewhere."""

    root: Path
    environment: dict[str, str]

    def penstock(self, *command: str) -> str:
        """What a command in it prints; it has to succeed."""
        done = run_in(self.root, "-m", "penstock", *command, **self.environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def processes(self) -> list[psutil.Process]:
        """All that runs for it. Postgres gets no environment, so it is found by its pid."""
        [postgres] = [
            part for part in json.loads(self.penstock("status", "--json"))["parts"] if part["name"] == "postgres"
        ]
        server = psutil.Process(postgres["pid"])
        return [*processes_of(Path(self.environment["PENSTOCK_HOME"])), server, *server.children()]


@pytest.fixture(scope="module")
def opened(stack: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    folder = tmp_path_factory.mktemp("open")
    keys = folder / "api-keys"
    keys.write_text(hashlib.sha256(KEY.encode()).hexdigest())
    made = Opened(
        write_project(folder / "shop", "").project.root,
        {
            "PENSTOCK_HOME": str(folder / "home"),
            "PENSTOCK_HTTP_HOST": "0.0.0.0",
            "PENSTOCK_HTTP_PORT": str(free_port()),
            "PENSTOCK_DAGSTER_PORT": str(free_port()),
            "PENSTOCK_API_KEYS_FILE": str(keys),
        },
    )
    try:
        made.penstock("up")
        yield made
    finally:
        made.penstock("down")


class TestOpenUp(Story):
    def test_it_answers_who_has_a_key(self, opened: Opened) -> None:
        url = f"http://127.0.0.1:{opened.environment['PENSTOCK_HTTP_PORT']}/models"
        assert httpx.get(url, headers={"x-api-key": KEY}).json() == []
        assert httpx.get(url).status_code == 401

    def test_from_elsewhere_only_the_service_is_reached(
        self, opened: Opened, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        if reason := hindrance():
            pytest.skip(reason)
        running = opened.processes()
        commands = " ".join(word for process in running for word in process.cmdline())
        assert [program for program in PROGRAMS if program not in commands] == []
        port, ports = int(opened.environment["PENSTOCK_HTTP_PORT"]), listening(running)
        assert {port, int(opened.environment["PENSTOCK_DAGSTER_PORT"])} < set(ports)
        assert attack(tmp_path_factory.mktemp("attack"), port, ports) == ([port], WITHOUT_KEY)
