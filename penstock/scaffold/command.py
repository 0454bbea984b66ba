"""`penstock init`: a new project."""

import click


@click.command(epilog="Example: penstock init shop")
def init() -> None:
    """Write."""
