"""`penstock down`: stop exactly what was started."""

from collections.abc import Callable

import click
from rich.console import Console


@click.command(epilog="Example: penstock down")
def down() -> None:
    """Stop exactly what `penstock up` started in this home: Ray, Dagster and its runs, then Postgres.

    What was written stays in PENSTOCK_HOME, so that the next `penstock up` goes on from there.
    """
    from penstock.cli.steps import Steps
    from penstock.cli.system.dagster_system import DagsterSystem
    from penstock.cli.system.dev_service import DevService
    from penstock.postgres.databases import Databases
    from penstock.serving.on_ray.cluster import RayCluster
    from penstock.settings import load

    settings = load()
    dev, dagster = DevService(settings), DagsterSystem(settings)
    stops: dict[str, Callable[[], bool]] = {
        "Ray Serve": RayCluster(settings).stop,
        **({"Dev service": dev.stop} if dev.runs() else {}),
        "Dagster": lambda: bool(dagster.stop()),
        "Postgres": Databases(settings).stop,
    }
    with Steps(Console(highlight=False)) as steps:
        for name, stop in stops.items():
            with steps.step(name) as step:
                step.done = "stopped" if stop() else "was not running"
