"""How fast predictions are served, beside what most teams have: `python -m benchmarks.serve [--quick]`."""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from benchmarks.serve_load import Load, measure, rows_per_second, write_script
from benchmarks.serve_targets import Target, bare, handwritten, on_ray

CONNECTIONS = (1, 8, 64)
REQUESTS = 2000
NOW = "2026-11-22T12:00:00+00:00"
MONTH = "2026-10"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--quick", is_flag=True, help="Two seconds a measurement instead of five.")
@click.option("--only", multiple=True, help="Only these targets.")
def main(as_json: bool, quick: bool, only: tuple[str, ...]) -> None:
    """Measure everything in one run. Rates depend on the machine; compare CPU per request first."""
    if not shutil.which("wrk"):
        raise click.ClickException("wrk is not installed (Debian: apt-get install wrk).")
    with tempfile.TemporaryDirectory(prefix="penstock-serve-") as name:
        figures = _measure(Path(name), 2.0 if quick else 5.0, only)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(figures)))


def _measure(home: Path, seconds: float, only: tuple[str, ...]) -> list[Load]:
    os.environ |= {"PENSTOCK_HOME": str(home), "PENSTOCK_NOW": NOW}
    from resources import postgres, settings
    from resources.processes import free_port

    os.environ["PENSTOCK_HTTP_PORT"] = str(free_port())
    resolved = postgres.resolve(settings.load())
    try:
        requests = _prepare(resolved)
        write_script(home, requests)
        made: list[Load] = []
        for start in (on_ray, bare, handwritten):
            if only and start.__name__ not in only:
                continue
            with start(resolved) as target:
                for figure in _target(target, home, requests, seconds):
                    click.echo(figure.line(), err=True)
                    made.append(figure)
        return made
    finally:
        postgres.stop(resolved)


def _target(target: Target, home: Path, requests: list[dict[str, Any]], seconds: float) -> Iterator[Load]:
    """The figures of one target, after a warm-up."""
    measure(target, home, 8, seconds / 2)
    for connections in CONNECTIONS:
        yield measure(target, home, connections, seconds)
    yield rows_per_second(target, requests[:1000], seconds)


def _prepare(settings: Any) -> list[dict[str, Any]]:
    """Train, release and publish the example in this home; gives real requests."""
    import dagster as dg

    from assets.declarations import declared
    from assets.definitions import defs
    from resources.coming_requests import coming
    from resources.duckdb_warehouse import DuckDBWarehouse
    from resources.example_warehouse import seed, shift_days
    from resources.postgres import open_books

    open_books(settings)
    warehouse = DuckDBWarehouse(str(settings.warehouse_file), now=settings.now())
    seed(warehouse, shift_days(settings.now()))
    for preparation in declared().preparations.values():
        warehouse.prepare(preparation.script)
    logging.getLogger("dagster").setLevel(logging.WARNING)
    with dg.DagsterInstance.ephemeral() as instance:
        job = defs.resolve_job_def("everything_for_flight_delay")
        job.execute_in_process(instance=instance, partition_key=f"{MONTH}-01")
    return coming(settings, declared().model("flight_delay"), REQUESTS)


if __name__ == "__main__":
    main()
