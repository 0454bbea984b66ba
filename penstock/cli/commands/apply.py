"""`penstock apply`: the edited Ray Serve configuration, on the running service."""

import click
from rich.console import Console

from penstock.cli.commands.deploy import code_there, onto_ray, told


@click.command(epilog="Example: penstock apply")
@onto_ray
@code_there
def apply(url: str | None, code_on_nodes: bool) -> None:
    """Bring serve_app/serve_config.yaml onto the running service, with the code that it runs.

    A change of numbers alone (replicas, limits) restarts nothing. `penstock deploy` brings changed code as well.
    --ray does it on a cluster that others run.
    """
    from penstock.cli.steps import Steps
    from penstock.serving.deploying.deploy import Elsewhere, Rollout
    from penstock.settings import load

    with Steps(Console(highlight=False)) as steps, steps.step("Apply") as step:
        step.show("waiting until the replicas serve")
        elsewhere = Elsewhere(url, upload=not code_on_nodes) if url else None
        step.done = told(Rollout(load(), elsewhere).apply())
