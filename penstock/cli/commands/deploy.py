"""`penstock deploy`: the project's code and configuration, on the running service."""

from typing import TYPE_CHECKING

import click
from rich.console import Console

if TYPE_CHECKING:
    from penstock.serving.deploying.deploy import DeployRecord

onto_ray = click.option(
    "--ray", "url", metavar="URL", help="Onto the cluster of this dashboard, http://HEAD:8265, of others."
)
code_there = click.option(
    "--code-on-nodes", is_flag=True, help="With --ray: its nodes have the project's code; upload nothing."
)


@click.command(epilog="Example: penstock deploy")
@click.option("--back", is_flag=True, help="Serve again what the deploy before this one served.")
@onto_ray
@code_there
def deploy(back: bool, url: str | None, code_on_nodes: bool) -> None:
    """Bring the project's code and serve_app/serve_config.yaml onto the running service, and fail no request.

    \b
    - The files are copied, and checked against the releases of the book: what does not import, or could serve no
      release of a model that is served now, is refused before anything changes.
    - Replicas are replaced one by one, each after its successor can serve. What only changes a number restarts nothing.
    - Dagster, where `penstock up` started it, reads the files again: its next runs are of this code.
    - What does not come to serve is taken back; the service goes on with what it had.
    - --back serves the code and configuration of the deploy before this one; once more, of the one before that. It
      changes no file of the project and no release: `penstock rollback` does that.
    - --ray brings all this onto a cluster that others run, whose nodes were started with the variables of
      `penstock render node`. See docs/production.md.
    """
    from penstock.cli.steps import Steps
    from penstock.cli.system.dagster_system import DagsterSystem
    from penstock.cli.system.preconditions import Preconditions
    from penstock.serving.deploying.deploy import Elsewhere, Rollout
    from penstock.settings import load

    settings = load()
    elsewhere = Elsewhere(url, upload=not code_on_nodes) if url else None
    try:
        with Steps(Console(highlight=False)) as steps, steps.step("Deploy") as step:
            step.show("checking, then replacing replicas one by one")
            needs = Preconditions(settings)
            needs.demand([needs.home], [] if back else [needs.stores])
            if not elsewhere:
                needs.demand([needs.host, needs.keys, needs.https, needs.service_config], [needs.books_to_serve])
            rollout = Rollout(settings, elsewhere)
            done = rollout.go_back() if back else rollout.deploy()
            step.done = told(done)
        if not back and DagsterSystem(settings).read_again():
            with steps.step("Dagster") as step:
                step.done = "read the project's changed files again"
    except KeyboardInterrupt:
        click.echo("Interrupted. The deploy goes on and ends by itself: `penstock status` shows the service.", err=True)
        raise
    for warning in done.warnings:
        click.secho(warning, fg="yellow", err=True)


def told(done: "DeployRecord") -> str:
    """What serves now, in a line."""
    before, now = done.before, done.now
    if before is None:
        return f"deploy {now.number} serves code {now.code}"
    if before.code.digest == now.code.digest:
        changed = "the same code" if before.config != now.config else "the same code and configuration"
        return f"deploy {now.number} serves {changed}, {now.code}"
    return f"deploy {now.number} serves code {now.code}, instead of {before.code}"
