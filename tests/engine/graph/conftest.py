"""A system that assets read, and an instance of Dagster, for tests of single assets."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
import yaml

from penstock.testing import Clock, System
from tests.checkout import ROOT


@pytest.fixture
def an_hour_later(system: System, clock: Clock) -> Path:
    """The home of a system over both books, an hour after NOON."""
    clock.forward(timedelta(hours=1))
    return system.home


@pytest.fixture
def instance_file(new_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An instance file with the shipped storage, pools and no telemetry; DAGSTER_HOME is its folder."""
    shipped = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    monkeypatch.setenv("PENSTOCK_DAGSTER_URL", new_database())
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    file = tmp_path / "dagster.yaml"
    file.write_text(yaml.safe_dump({name: shipped[name] for name in ("storage", "concurrency", "telemetry")}))
    with dg.DagsterInstance.get():  # makes the tables of the storage
        return file
