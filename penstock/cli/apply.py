"""`penstock apply`: the edited Ray Serve configuration, on the running service."""

import click
from rich.console import Console


@click.command(epilog="Example: penstock apply")
def apply() -> None:
    """Apply serve_app/serve_config.yaml to the running service, and wait until it serves.

    A change of numbers alone (replicas, limits) restarts nothing; a change of code replaces the replicas one by one.
    """
    from penstock.cli.steps import Steps
    from penstock.serving.on_ray import cluster
    from penstock.settings import load

    with Steps(Console(highlight=False)) as steps, steps.step("Ray Serve") as step:
        step.show("waiting until the replicas serve")
        settings = load()
        cluster.apply(settings)
        step.done = "serves serve_app/serve_config.yaml"
