"""`penstock init`: a new project."""

import shlex
from pathlib import Path

import click


@click.command(epilog="Example: penstock init shop")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--example", default="", metavar="NAME", help="Write the shipped example into it: a whole model.")
def init(folder: Path, example: str) -> None:
    """Write a new project into DIR, a new or empty folder, and call it like that.

    It is complete: `make up` and `make test` work in it. Without an example it has no model yet.
    """
    from penstock.scaffold.project import write_project

    made = write_project(folder, example)
    click.echo(f"Wrote the project {made.project.name}: {made.files} files in {made.project.root}")
    click.echo(f"Its engine: {made.engine}")
    click.echo(f"\ncd {shlex.quote(str(folder))}\nmake up     # starts everything\nmake test   # passes its tests")
