"""`penstock rollback`: an earlier release made current again."""

import getpass

import click
import msgspec

from penstock import settings as environment


@click.command("rollback", epilog='Example: penstock rollback flight_delay --why "late share looks off"')
@click.argument("model")
@click.option("--to", type=int, help="The version to go back to; the one before the current if not given.")
@click.option("--why", required=True, help="The reason, for the ledger.")
@click.option("--book", type=click.Choice(["test", "prod", "both"]), default="both", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the new ledger entries as JSON.")
def command(model: str, to: int | None, why: str, book: str, as_json: bool) -> None:
    """Make an earlier release of MODEL current again; replicas serve it within a second."""
    from penstock.contract.registry import read_contracts
    from penstock.postgres.urls import open_books
    from penstock.releases.ledger import rollback

    settings = environment.load()
    read_contracts(settings.project).demand(model)
    test, prod = open_books(settings)
    chosen = {"test": (test,), "prod": (prod,), "both": (prod, test)}[book]
    moved = {}
    for where in chosen:
        entry = rollback(where, model, who=getpass.getuser(), why=why, to=to)
        moved[where.name], to = entry, entry.version
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(moved), indent=2).decode())
        return
    for name, entry in moved.items():
        click.echo(f"{name.upper()} serves release {entry.version} of {model}, instead of {entry.replaced}.")
