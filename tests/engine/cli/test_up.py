"""The two commands of a newcomer, end to end, in a home of their own."""

import json
import shlex
import socket
import time
import urllib.request
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import Any

import psutil
import pytest

from penstock.processes import free_port
from penstock.testing import Story
from tests.engine.cli.conftest import SECRET, Penstock, processes_of
from tests.engine.running import each, listening

MOST_MEMORY = 3.5e9


def status(penstock: Penstock) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(penstock("status", "--json").stdout)
    return shown


def test_a_taken_port_is_refused_before_anything_starts(penstock: Penstock, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        own = {"PENSTOCK_HOME": str(tmp_path), "PENSTOCK_HTTP_PORT": str(free_port())}
        refused = penstock("up", PENSTOCK_DAGSTER_PORT=str(taken.getsockname()[1]), **own)
    assert refused.returncode == 1
    assert "PENSTOCK_DAGSTER_PORT" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "postgres").exists()


class TestUpAndDown(Story):
    """One home from the first `penstock up` to the last `penstock down`."""

    def test_up_ends_with_an_answer_and_a_curl_that_works(self, first_up: str) -> None:
        curl = next(line for line in first_up.splitlines() if line.startswith("curl "))
        _, _, url, _, _, _, body = shlex.split(curl)
        request = urllib.request.Request(url, body.encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.loads(response.read())
        assert answer["release"] == 1
        assert '"release": 1' in first_up

    def test_the_ui_shows_the_runs_that_up_asked_for(self, first_up: str, ports: tuple[int, int]) -> None:
        query = json.dumps({"query": "{ runsOrError { ... on Runs { results { jobName status } } } }"}).encode()
        url = f"http://127.0.0.1:{ports[1]}/graphql"
        asked = urllib.request.Request(url, query, {"Content-Type": "application/json"})
        with urllib.request.urlopen(asked, timeout=30) as response:
            runs = json.loads(response.read())["data"]["runsOrError"]["results"]
        assert {"jobName": "everything_for_flight_delay", "status": "SUCCESS"} in runs
        assert "everything_for_flight_delay" in first_up

    def test_status_shows_every_part_healthy_and_within_memory(self, first_up: str, penstock: Penstock) -> None:
        shown = status(penstock)
        assert {part["health"].split(",")[0] for part in shown["parts"]} == {"healthy"}
        assert all(part["pid"] and part["memory"] for part in shown["parts"])
        assert 0 < shown["memory"] < MOST_MEMORY
        assert shown["releases"][0]["release"] == 1
        assert len(shown["tables"]) == 6

    def test_everything_listens_on_loopback_alone(self, first_up: str, home: Path, ports: tuple[int, int]) -> None:
        addresses = listening(processes_of(home))
        assert {address.port for address in addresses} >= set(ports)
        assert {address.ip.removeprefix("::ffff:") for address in addresses} <= {"127.0.0.1", "::1"}

    def test_no_process_shows_a_secret_in_its_command(self, first_up: str, home: Path) -> None:
        running = list(each(processes_of(home), lambda process: (process.environ(), " ".join(process.cmdline()))))
        assert len([environment for environment, _ in running if SECRET in environment.values()]) > 3
        assert [command for _, command in running if SECRET in command] == []
        assert SECRET not in first_up

    def test_what_runs_hears_the_signals_that_up_was_told_to_ignore(self, first_up: str, home: Path) -> None:
        dagster = [one for one in processes_of(home) if "dagster" in " ".join(one.cmdline())]
        assert len(dagster) >= 3
        deaf = {number: [one.cmdline() for one in dagster if ignores(one, number)] for number in (SIGINT, SIGTERM)}
        assert deaf == {SIGINT: [], SIGTERM: []}

    def test_up_again_does_nothing_and_keeps_every_process(self, first_up: str, penstock: Penstock) -> None:
        before = [part["pid"] for part in status(penstock)["parts"]]
        again = penstock("up")
        assert again.returncode == 0
        assert "nothing is missing" in again.stdout
        assert [part["pid"] for part in status(penstock)["parts"]] == before

    def test_a_deploy_of_nothing_new_restarts_nothing_and_there_is_no_way_back_yet(
        self, first_up: str, penstock: Penstock
    ) -> None:
        before = [part["pid"] for part in status(penstock)["parts"]]
        done = penstock("deploy")
        assert done.returncode == 0, done.stderr
        assert "deploy 1 serves the same code and configuration" in done.stdout
        assert [part["pid"] for part in status(penstock)["parts"]] == before
        back = penstock("deploy", "--back")
        assert back.returncode == 1
        assert "--back: expected a deploy before the one that serves, found none" in back.stderr

    def test_doctor_finds_nothing_wrong(self, first_up: str, penstock: Penstock) -> None:
        findings = json.loads(penstock("doctor", "--json").stdout)
        assert len(findings) >= 8
        assert [finding for finding in findings if not finding["ok"]] == []

    def test_down_ends_every_process_of_the_home_and_up_goes_on_from_there(
        self, first_up: str, penstock: Penstock, home: Path, ports: tuple[int, int]
    ) -> None:
        assert penstock("down").returncode == 0
        assert processes_of(home) == []
        assert penstock("status").returncode == 1
        started = time.monotonic()
        again = penstock("up")
        print(f"up after down: {time.monotonic() - started:.1f} s")
        assert again.returncode == 0
        assert "nothing is missing" in again.stdout
        assert penstock("down").returncode == 0
        assert processes_of(home) == []
        for port in ports:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=1)


def ignores(process: psutil.Process, number: int) -> bool:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return bool(int(status.partition("SigIgn:")[2].split()[0], 16) >> (number - 1) & 1)
