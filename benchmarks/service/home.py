"""A home for the benchmarks of the service: the example's books, its tables, one release, and real requests."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from penstock.settings import Settings

NOW = "2026-11-22T12:00:00+00:00"
MONTH = "2026-10"
MADE = "materialized"
QUIET = {"loggers": {"console": {"config": {"log_level": "WARNING"}}}}

keep = click.option(
    "--home", type=click.Path(path_type=Path), help="Make the home there, keep it, and find it there the next time."
)


@contextmanager
def home(kept: Path | None = None) -> Iterator[Settings]:
    """A home with its own Postgres, where the example is trained, released and published.

    It is made for this run and removed, or `kept` for the next, which then starts at once.
    """
    from penstock import settings
    from penstock.postgres.databases import Databases
    from penstock.processes import free_port

    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as temporary:
        folder = kept.resolve() if kept else Path(temporary)
        os.environ |= {"PENSTOCK_HOME": str(folder), "PENSTOCK_NOW": NOW, "PENSTOCK_HTTP_PORT": str(free_port())}
        resolved = Databases(settings.load()).resolve()
        try:
            for book in Databases(resolved).books():
                book.migrate()
            if not (folder / MADE).exists():
                _materialize(resolved)
                (folder / MADE).touch()
            yield resolved
        finally:
            Databases(resolved).stop()


def requests(settings: Settings, count: int) -> list[dict[str, Any]]:
    """Requests about flights that are really coming, without their `asked_at`."""
    from penstock.declare.discovery import declared
    from penstock.extract.coming_requests import coming
    from penstock.warehouse.opening import open_warehouse

    return coming(declared().model("flight_delay"), count, open_warehouse(settings), settings.now())


def _materialize(settings: Settings) -> None:
    import dagster as dg

    from assets.definitions import defs
    from penstock.declare.discovery import declared
    from penstock.warehouse.duckdb_file import DuckDBWarehouse
    from resources.example import seed, shift_days

    warehouse = DuckDBWarehouse(str(settings.warehouse_file), now=settings.now())
    seed(warehouse, shift_days(settings.now()))
    for preparation in declared().preparations.values():
        warehouse.prepare(preparation.script)
    with dg.DagsterInstance.ephemeral() as instance:
        job = defs.resolve_job_def("everything_for_flight_delay")
        job.execute_in_process(instance=instance, partition_key=f"{MONTH}-01", run_config=QUIET)
