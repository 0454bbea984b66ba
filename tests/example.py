"""Session fixtures of the shipped example: its warehouse at a fixed now, and one materialized month."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from penstock.declare.discovery import declared
from penstock.testing import NOON, System, new_system
from resources.example import seed, shift_days

NOW = NOON
MONTH = "2026-10"


Example = System


@pytest.fixture(scope="session")
def example(slow: None, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    """The example's warehouse, seeded and prepared, and two empty books; the environment names them, with the rights of
    the pipeline alone."""
    with new_system(postgres, tmp_path_factory.mktemp("home"), NOW) as system:
        seed(system.warehouse, shift_days(NOW))
        for preparation in declared().preparations.values():
            system.warehouse.prepare(preparation.script)
        yield system


@pytest.fixture(scope="session")
def dagster_instance(example: Example, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """A real Dagster instance that keeps its runs and events in Postgres."""
    home: Path = tmp_path_factory.mktemp("dagster")
    overrides = {
        "storage": {
            "postgres": {"postgres_url": example.settings.dagster_url.replace("postgresql:", "postgresql+psycopg2:")}
        },
        "telemetry": {"enabled": False},
    }
    with dg.instance_for_test(overrides=overrides, temp_dir=str(home)) as instance:
        yield instance


@pytest.fixture(scope="session")
def materialized(example: Example, dagster_instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """The run of every table and of the model of one month, as `make up` submits it."""
    from assets.definitions import defs

    job = defs.resolve_job_def("everything_for_flight_delay")
    result = job.execute_in_process(instance=dagster_instance, partition_key=f"{MONTH}-01", raise_on_error=False)
    assert result.success, [event.message for event in result.all_events if event.is_failure]
    return result
