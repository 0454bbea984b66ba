"""`penstock render`: what operators run the project with elsewhere."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click


@click.command(epilog="Example: penstock render kubernetes --output deploy/kubernetes")
@click.argument("what", type=click.Choice(["serve", "environment", "node", "kubernetes"]))
@click.option("--output", type=click.Path(path_type=Path), help="Write there; without it, print.")
def render(what: str, output: Path | None) -> None:
    """Print or write what a cluster of others runs this project with. Starts nothing, and holds no secret.

    \b
    - serve: the Serve config for plain `serve deploy`, checked, with the host and port of the settings
    - environment: the variables that every node needs before `ray start`, as NAME=text lines
    - node: for this node, a file of them to source there, and how its HAProxy is started: . "$(penstock render node)"
    - kubernetes: a Kustomize base, written anew each time, and two overlays, written where they are missing
    """
    from penstock.errors import PenstockError
    from penstock.settings import load

    settings = load()
    if what == "node":
        from penstock.rendering import node

        if output is not None:
            raise PenstockError("--output", expected="none for `node`", found=str(output), todo="Leave it out.")
        click.echo(node.write(settings))
        return
    if what == "kubernetes":
        from penstock.rendering.kubernetes.kustomize import kubernetes, write

        files = kubernetes(settings)
        if output is None:
            click.echo(
                "---\n".join(text for name, text in files.items() if not name.endswith("kustomization.yaml")), nl=False
            )
            return
        for path in write(files, output):
            click.echo(path)
        return
    if what == "serve":
        from penstock.rendering.serve import serve

        text = _yaml(serve(settings.demand_project(), settings.http_host, settings.http_port))
    else:
        from penstock.rendering.environment import node_environment

        text = _lines(node_environment(settings))
    if output is None:
        click.echo(text, nl=False)
    elif output.is_dir():
        raise PenstockError(str(output), expected="a file", found="a folder", todo="Name another --output.")
    else:
        output.write_text(text)
        click.echo(output)


def _yaml(config: Mapping[str, Any]) -> str:
    import yaml

    return str(yaml.safe_dump(config, sort_keys=False))


def _lines(variables: Mapping[str, str]) -> str:
    from penstock.rendering.environment import SECRETS

    set_ = "".join(f"{name}={text}\n" for name, text in variables.items())
    return f"{set_}# Secrets, of the role of the service: {', '.join(SECRETS[:2])}. Printed by nothing.\n"
