"""The checks that a team runs against its own warehouse: they pass where all is well, and name what is not."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from penstock.extract import conformance, training_join
from penstock.extract.conformance import Conformance, Finding
from penstock.settings import Settings
from penstock.warehouse.opening import open_warehouse
from penstock.warehouse.postgres.types import PostgresColumn
from penstock.warehouse.postgres.warehouse import PostgresWarehouse
from penstock.warehouse.session_zone import another_zone
from tests.engine.projects import write_project

CHECKS = [
    "connection",
    "types",
    "order of text",
    "nulls",
    "instants",
    "sorted stream",
    "cancellation",
    "timeout",
    "scratch schema",
    "as-of join",
    "preparation",
    "scratch dropped",
]


def checks(settings: Settings, seconds: float = conformance.MOST_SECONDS) -> Conformance:
    return Conformance(partial(open_warehouse, settings), seconds)


def tried(settings: Settings, seconds: float = conformance.MOST_SECONDS) -> dict[str, Finding]:
    return {finding.check: finding for finding in checks(settings, seconds).findings()}


def schemas(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'penstock%'").fetchall()
    return [name for (name,) in found]


KINDS = ("duckdb", "postgresql", "clickhouse")


@pytest.fixture
def settings_of(tmp_path: Path, new_database: Callable[[], str]) -> Callable[[str], Settings]:
    """A function that returns the settings of an empty warehouse of a kind."""

    def made(kind: str) -> Settings:
        (tmp_path / "chdb").mkdir()
        with duckdb.connect(str(Settings(home=tmp_path).warehouse_file)) as connection:
            connection.execute("CREATE TABLE t (n INTEGER)")
        url = {"duckdb": "", "clickhouse": f"chdb://{tmp_path / 'chdb'}"}.get(kind)
        return Settings(home=tmp_path, warehouse_url=new_database() if url is None else url)

    return made


def kept(settings: Settings) -> list[str]:
    """The scratch schemas that are there."""
    query = "SELECT schema_name AS name FROM information_schema.schemata"
    with open_warehouse(settings).batches(query) as batches:
        found = [row["name"] for row in batches.read_all().to_pylist()]
    assert len(found) > 1
    return [name for name in found if name.startswith("penstock_doctor_")]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_warehouse_that_is_well_passes_every_check_and_keeps_nothing(
    kind: str, settings_of: Callable[[str], Settings]
) -> None:
    settings = settings_of(kind)
    began = time.monotonic()
    found = tried(settings)

    assert list(found) == CHECKS
    assert [one for one in found.values() if not one.ok] == []
    assert time.monotonic() - began < conformance.MOST_SECONDS
    assert kept(settings) == []
    if kind == "postgresql":
        assert "runs it no more" in found["cancellation"].found


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_ctrl_c_leaves_no_scratch_schema_also_while_it_is_made(
    kind: str, settings_of: Callable[[str], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(kind)
    for name in ("_stream", "_cancellation", "_timeout"):
        monkeypatch.setattr(Conformance, name, lambda _: "not tried here")
    findings = checks(settings).findings()
    assert next(one for one in findings if one.check == "scratch schema").ok
    assert len(kept(settings)) == 1
    with pytest.raises(KeyboardInterrupt):
        findings.throw(KeyboardInterrupt)
    assert kept(settings) == []

    make = Conformance._make_scratch

    def interrupted(self: Conformance) -> str:
        make(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(Conformance, "_make_scratch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tried(settings)
    assert kept(settings) == []


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_command_prints_a_table_and_once_it_is_ended_leaves_nothing(
    how: signal.Signals, tmp_path: Path, new_database: Callable[[], str]
) -> None:
    url, project = new_database(), write_project(tmp_path / "small", {})
    command = [sys.executable, "-m", "penstock", "doctor", "--warehouse"]
    started = {"cwd": project, "env": {**os.environ, "PENSTOCK_PROJECT": str(project), "PENSTOCK_WAREHOUSE_URL": url}}
    if how == signal.SIGINT:
        told = subprocess.run(command, **started, capture_output=True, text=True, check=False)
        assert told.returncode == 0
        assert [check for check in CHECKS if check in told.stdout] == CHECKS
        assert "http" not in told.stdout
    doctor = subprocess.Popen(command, **started, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + conformance.MOST_SECONDS
    while not schemas(url) and doctor.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    doctor.send_signal(how)
    _, errors = doctor.communicate(timeout=60)
    assert doctor.returncode != 0, "it had ended before the signal"
    assert "Traceback" not in errors
    assert schemas(url) == []


@pytest.mark.slow
def test_what_the_connected_user_may_not_do_is_named_with_what_it_is_for(
    tmp_path: Path, new_database: Callable[[], str]
) -> None:
    url = new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS reads_only")
        connection.execute("CREATE ROLE reads_only LOGIN")
    found = tried(Settings(home=tmp_path, warehouse_url=url.replace("postgres@", "reads_only@", 1)))

    assert [name for name, one in found.items() if one.ok] == CHECKS[:8]
    assert "permission denied for database" in found["scratch schema"].found
    assert "GRANT CREATE ON DATABASE" in found["scratch schema"].todo
    assert [found[name].ok for name in ("as-of join", "preparation")] == [None, None]


@pytest.mark.slow
def test_a_session_that_is_not_in_utc_is_found(
    tmp_path: Path, new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PostgresWarehouse, "SETTINGS", ())
    found = tried(Settings(home=tmp_path, warehouse_url=new_database()))["instants"]

    assert found.ok is False
    assert "datetime.datetime(2026, 3, 29, 21, 0)" in found.found


@pytest.mark.slow
def test_texts_that_are_sorted_otherwise_are_found(
    tmp_path: Path, new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PostgresColumn, "BYTES", " DESC")
    found = tried(Settings(home=tmp_path, warehouse_url=new_database()))["order of text"]

    assert found.ok is False
    assert "order of their bytes" in found.found


@pytest.mark.slow
def test_a_join_that_knows_the_future_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path)
    with duckdb.connect(str(settings.warehouse_file)):
        pass
    query = training_join.training_query

    def early(*arguments: Any, **named: Any) -> str:
        return query(*arguments, **named).replace(">=", "<=")

    monkeypatch.setattr(conformance, "training_query", early)
    found = tried(settings)["as-of join"]

    assert found.ok is False
    assert "expected {'id'" in found.found


def test_without_a_warehouse_nothing_else_is_tried(tmp_path: Path) -> None:
    found = tried(Settings(home=tmp_path))

    assert list(found) == ["connection"]
    assert found["connection"].ok is False
    assert "none" in found["connection"].found


@pytest.mark.slow
def test_after_its_time_no_check_is_begun(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with duckdb.connect(str(settings.warehouse_file)):
        pass
    found = tried(settings, 0.3)

    assert found["timeout"].ok is None
    assert "the time for all checks is over" in found["timeout"].found


def test_the_zone_of_the_surroundings_is_as_it_was_afterwards() -> None:
    before = os.environ.get("TZ"), time.tzname
    with another_zone():
        assert time.tzname == ("JST", "JST")

    assert (os.environ.get("TZ"), time.tzname) == before
