"""`penstock apply`: the edited Ray Serve configuration, on the running service."""

import click
from rich.console import Console


@click.command(epilog="Example: penstock apply")
def apply() -> None:
    """Bring serve_app/serve_config.yaml onto the running service, with the code that it runs.

    A change of numbers alone (replicas, limits) restarts nothing. `penstock deploy` brings changed code as well.
    """
    from penstock.cli.commands.deploy import told
    from penstock.cli.steps import Steps
    from penstock.serving.deploying.deploy import Rollout
    from penstock.settings import load

    with Steps(Console(highlight=False)) as steps, steps.step("Apply") as step:
        step.show("waiting until the replicas serve")
        step.done = told(Rollout(load()).apply())
