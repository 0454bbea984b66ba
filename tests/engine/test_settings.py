import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from penstock.project import containing
from penstock.settings import VARIABLES, SettingError, load, warn_of_unknown_variables
from tests.checkout import ROOT
from tests.engine.projects import write_project

NAME = re.compile(r"PENSTOCK_[A-Z_]*[A-Z]")
TEXT = {".py", ".md", ".yaml", ".yml", ".sh", ".conf", ".html", ""}
OF_TESTS = {"PENSTOCK_TEST_IMAGES", "PENSTOCK_BENCH_VENVS", "PENSTOCK_DLT_PYTHON", "PENSTOCK_PIN_GRAPH"}


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("PENSTOCK_"):
            monkeypatch.delenv(name)


def test_without_any_variable_everything_is_below_the_project_and_on_loopback(tmp_path: Path) -> None:
    project = write_project(tmp_path / "new")  # this repository's own may have chosen other ports
    settings = load(containing(project))

    assert settings.home == project / ".penstock"
    assert (settings.http_host, settings.http_port, settings.dagster_port) == ("127.0.0.1", 8000, 3000)
    assert settings.snapshots == str(settings.home / "snapshots")
    assert abs(settings.now() - datetime.now(UTC)).total_seconds() < 5


@pytest.mark.parametrize("wrong", ["http", "0", "65536", "-1"])
def test_a_port_that_is_none_is_refused_by_its_variable(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("PENSTOCK_HTTP_PORT", wrong)

    with pytest.raises(SettingError, match=f"PENSTOCK_HTTP_PORT: expected a port from 1 to 65535, found '{wrong}'"):
        load()


@pytest.mark.parametrize("written", ["2026-11-22T12:00:00Z", "2026-11-22T12:00:00", "2026-11-22T07:00:00-05:00"])
def test_now_can_be_set_and_is_utc(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("PENSTOCK_NOW", written)

    assert load().now() == datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_a_now_that_is_no_time_is_refused_with_an_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_NOW", "yesterday")

    with pytest.raises(SettingError, match="PENSTOCK_NOW: expected an ISO 8601 time such as 2026"):
        load()


def test_home_moves_all_that_is_not_set_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path))
    monkeypatch.setenv("PENSTOCK_SNAPSHOTS_URL", "memory://snapshots")

    settings = load()

    assert settings.warehouse_file == tmp_path / "warehouse.duckdb"
    assert settings.artifacts == str(tmp_path / "artifacts")
    assert settings.snapshots == "memory://snapshots"


def test_readme_lists_exactly_the_variables_that_are_read() -> None:
    rows = re.findall(r"^\| `(PENSTOCK_\w+)` \| (.*?) \| (.*?) \|$", (ROOT / "README.md").read_text(), re.M)

    assert rows == [(one.name, one.default, one.meaning) for one in VARIABLES]


def test_no_file_names_a_variable_that_is_not_in_the_list() -> None:
    places = (
        "penstock",
        "assets",
        "serve_app",
        "resources",
        "docs",
        "deploy",
        "workspace.yaml",
        "Makefile",
        "README.md",
    )
    paths = [path for name in places for path in (ROOT / name, *(ROOT / name).rglob("*")) if path.suffix in TEXT]
    found = {name: path for path in paths if path.is_file() for name in NAME.findall(path.read_text())}

    assert set(found) > {"PENSTOCK_HOME", "PENSTOCK_CODE_PORT"}
    assert set(found) - {one.name for one in VARIABLES} - OF_TESTS == set(), found


def test_another_process_loads_the_same_settings_from_their_variables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, text in {
        "PENSTOCK_HOME": str(tmp_path),
        "PENSTOCK_HTTP_HOST": "0.0.0.0",
        "PENSTOCK_HTTP_PORT": "8123",
        "PENSTOCK_NOW": "2026-11-22T07:00:00-05:00",
        "PENSTOCK_PROD_URL": "postgresql://prod",
        "PENSTOCK_RAY_ADDRESS": "head:6379",
    }.items():
        monkeypatch.setenv(name, text)
    settings = load()

    made = settings.variables()

    assert set(made) > {"PENSTOCK_DAGSTER_PORT", "PENSTOCK_RAY_ADDRESS"}
    for name, text in made.items():
        monkeypatch.setenv(name, text)
    assert load() == settings


def test_a_variable_that_nothing_reads_is_warned_about_with_the_nearest_name(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PENSTOCK_HTTP_PROT", "8001")
    monkeypatch.setenv("PENSTOCK_QQ", "1")
    monkeypatch.setenv("PENSTOCK_HTTP_PORT", "8002")

    warn_of_unknown_variables()

    assert [record.getMessage() for record in caplog.records] == [
        "PENSTOCK_HTTP_PROT: nothing reads this variable. Did you mean PENSTOCK_HTTP_PORT?",
        "PENSTOCK_QQ: nothing reads this variable.",
    ]


def test_files_and_folders_are_the_same_for_every_process_whatever_it_works_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ("PENSTOCK_HOME", "PENSTOCK_API_KEYS_FILE", "PENSTOCK_TLS_FILE", "PENSTOCK_SNAPSHOTS_URL")
    for name in names:
        monkeypatch.setenv(name, "here")
    monkeypatch.setenv("PENSTOCK_ARTIFACTS_URL", "s3//bucket")
    variables = load().variables()
    assert {variables[name] for name in names} == {str(tmp_path / "here")}
    assert variables["PENSTOCK_ARTIFACTS_URL"] == "s3//bucket", "it is refused where the store is opened"
