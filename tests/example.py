"""Session fixtures of the shipped example: its warehouse at a fixed now, and one materialized month."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from penstock import settings as environment
from penstock.declare.discovery import declared
from penstock.postgres import roles
from penstock.postgres.book import Book
from penstock.settings import Settings
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from resources.example import seed, shift_days
from tests.engine.members import as_member

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MONTH = "2026-10"


@dataclass(frozen=True)
class Example:
    """A home of its own, with both books. The settings name a login that may do what the pipeline does and nothing
    else; `test` and `prod` may do anything."""

    settings: Settings
    test: Book
    prod: Book


@pytest.fixture(scope="session")
def example(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    """The example's warehouse, seeded and prepared, and two empty books; the environment points at it, with the rights
    of the pipeline alone."""
    home = tmp_path_factory.mktemp("home")
    urls = {}
    with psycopg.connect(postgres, autocommit=True) as connection:
        for name in ("test", "prod", "dagster"):
            connection.execute(f"CREATE DATABASE example_{name}")
            urls[name] = postgres.replace("/postgres?", f"/example_{name}?")
    books = Book("test", urls["test"]), Book("prod", urls["prod"])
    for book in books:
        book.migrate()
        urls[book.name] = as_member(book, roles.PIPELINE).url
    patch = pytest.MonkeyPatch()
    for name, value in {
        "PENSTOCK_HOME": str(home),
        "PENSTOCK_NOW": NOW.isoformat(),
        "PENSTOCK_TEST_URL": urls["test"],
        "PENSTOCK_PROD_URL": urls["prod"],
        "PENSTOCK_DAGSTER_URL": urls["dagster"],
    }.items():
        patch.setenv(name, value)
    warehouse = DuckDBWarehouse(str(home / "warehouse.duckdb"), now=NOW)
    seed(warehouse, shift_days(NOW))
    for preparation in declared().preparations.values():
        warehouse.prepare(preparation.script)
    yield Example(environment.load(), *books)
    patch.undo()


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
