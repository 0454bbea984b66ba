import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from penstock.cli.main import penstock
from penstock.postgres.databases import Databases
from penstock.processes import free_port
from penstock.settings import Settings
from penstock.warehouse.postgres.warehouse import PostgresWarehouse


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which nothing was ever started, and the environment that names it."""
    for name in ("TEST", "PROD", "DAGSTER"):
        monkeypatch.delenv(f"PENSTOCK_{name}_URL", raising=False)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path))
    monkeypatch.setenv("PENSTOCK_HTTP_PORT", str(free_port()))
    monkeypatch.setenv("PENSTOCK_DAGSTER_PORT", str(free_port()))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(penstock, arguments)


def test_status_of_a_home_where_nothing_runs_says_so_and_starts_nothing(home: Path) -> None:
    shown = run("status", "--json")
    assert shown.exit_code == 1
    assert {part["health"] for part in json.loads(shown.output)["parts"]} == {"not running"}
    assert not (home / "postgres").exists()


def test_status_tries_the_autoscaling_of_the_projects_file_dry(home: Path) -> None:
    [tried] = json.loads(run("status", "--json").output)["autoscaling"]
    assert (tried["deployment"], tried["policy"], tried["replicas"]) == ("Predictions", "64 requests", "2 to 4")
    assert [tried[f"at {load}x"] for load in (0, 1, 2, 4)] == [2, 2, 4, 4]


@pytest.mark.slow
def test_status_of_a_running_postgres_has_its_pid_and_memory(home: Path) -> None:
    settings = Settings(home=home)
    try:
        Databases(settings).server({"fsync": "off"}).start()
        Databases(settings).open_books()
        part = json.loads(run("status", "--json").output)["parts"][0]
        assert part["pid"] == Databases(settings).server().pid()
    finally:
        Databases(settings).stop()
    assert part["name"] == "postgres"
    assert re.fullmatch(r"healthy(, data in /\S+)?", part["health"])
    assert part["memory"] > 10_000_000


def test_doctor_says_what_to_do_about_each_part_that_does_not_run(home: Path) -> None:
    findings = {finding["name"]: finding for finding in json.loads(run("doctor", "--json").output)}
    assert findings["python"]["ok"]
    assert findings["home"]["ok"]
    assert not findings["postgres"]["ok"]
    assert "penstock up" in findings["postgres"]["todo"]
    assert not (home / "postgres").exists()


def test_doctor_asks_the_warehouse_and_shows_no_secret(
    home: Path, monkeypatch: pytest.MonkeyPatch, new_database: Callable[[], str]
) -> None:
    def warehouse(url: str) -> dict[str, Any]:
        monkeypatch.setenv("PENSTOCK_WAREHOUSE_URL", url)
        (found,) = (one for one in json.loads(run("doctor", "--json").output) if one["name"] == "warehouse")
        return dict(found)

    url = new_database().replace("postgres@", "postgres:hunter2@", 1)
    PostgresWarehouse(url).prepare("CREATE TABLE orders (id int)")
    found = [warehouse(one) for one in (url, "postgresql://me:hunter2@127.0.0.1:1/none", "sqlite:///x", "")]

    assert [one["ok"] for one in found] == [True, False, False, False]
    assert found[0]["found"].endswith(" s: 1 tables and views")
    assert "Connection refused" in found[1]["found"]
    assert "found a URL of the kind 'sqlite'" in found[2]["found"]
    assert "penstock up" in found[3]["found"]
    assert "hunter2" not in str(found)


def test_doctor_notices_a_package_that_is_not_as_pinned(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.cli.system.checks.metadata.version", lambda name: "0.0.1")
    findings = {finding["name"]: finding for finding in json.loads(run("doctor", "--json").output)}
    assert not findings["packages"]["ok"]
    assert findings["packages"]["todo"] == "Run `make setup`."


def test_down_where_nothing_runs_is_no_error(home: Path) -> None:
    shown = run("down")
    assert shown.exit_code == 0
    assert shown.output.count("was not running") == 3
