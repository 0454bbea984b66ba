"""`penstock rollback`: an earlier release made current again."""

import getpass

import click
import msgspec


@click.command("rollback", epilog='Example: penstock rollback flight_delay --why "late share looks off"')
@click.argument("model")
@click.option("--to", type=int, help="The release to go back to; the one before the current if not given.")
@click.option("--why", required=True, help="The reason, for the ledger.")
@click.option("--book", type=click.Choice(["test", "prod", "both"]), default="both", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the new ledger entries as JSON.")
def command(model: str, to: int | None, why: str, book: str, as_json: bool) -> None:
    """Make an earlier release of MODEL current again; replicas serve it within a second.

    A release that the running service cannot serve, because other code made it, becomes current as well; the service
    goes on with the release that it has until code that fits is deployed. The command says so first.
    """
    from penstock.cli.served import compare
    from penstock.releases.ledger import rollback, rollback_target
    from penstock.runtime import Runtime
    from penstock.serving.deploying.history import History

    runtime = Runtime.load()
    runtime.demand_model(model)
    compared = None
    if book in ("both", "prod"):
        target = rollback_target(runtime.books.prod, model, to=to)
        compared = compare(
            runtime.settings.service_url,
            History(runtime.settings.home),
            model,
            target.contract,
            f"release {target.release}",
        )
        click.echo(compared.sentence, err=True)
    moved = {}
    for where in (runtime.books.prod, runtime.books.test):
        if book not in ("both", where.name):
            continue
        entry = rollback(where, model, who=getpass.getuser(), why=why, to=to)
        moved[where.name], to = entry, entry.release
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(moved), indent=2).decode())
        return
    for name, entry in moved.items():
        instead = f", instead of {entry.replaced}"
        if name == "prod" and compared:
            click.echo(compared.current(model, entry.release, instead))
        else:
            click.echo(f"{name.upper()} serves release {entry.release} of {model}{instead}.")
