from datetime import UTC, datetime
from pathlib import Path

import pytest

from penstock.settings import SettingError, load
from tests.checkout import ROOT


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("PENSTOCK_"):
            monkeypatch.delenv(name)


def test_without_any_variable_everything_is_below_the_repository_and_on_loopback() -> None:
    settings = load()

    assert settings.home == ROOT / ".penstock"
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
