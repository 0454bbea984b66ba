"""`penstock migrate`: the schema of the books brought to the version of this Penstock."""

from typing import Any

import click
import msgspec


@click.command(epilog="Example: penstock migrate --book test --dry-run")
@click.option("--book", type=click.Choice(["test", "prod", "both"]), default="both", show_default=True)
@click.option("--dry-run", is_flag=True, help="Print what would be applied, and change nothing.")
@click.option("--patience", default=30.0, show_default=True, help="Seconds to wait for other sessions, per migration.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array instead of lines.")
def migrate(book: str, dry_run: bool, patience: float, as_json: bool) -> None:
    """Apply the migrations that a book has not had, TEST before PROD.

    One process at a time; each migration is one transaction, which waits half a second at a time for other sessions.
    Needs a role that owns the schemas, see `penstock doctor --roles`.
    """
    from penstock.contract.registry import contracts
    from penstock.postgres.databases import Databases
    from penstock.postgres.migrations import check_version, named, newest
    from penstock.postgres.place import demand_apart
    from penstock.releases.former import adopt
    from penstock.settings import load

    settings = load()
    told: list[dict[str, Any]] = []
    wanted = [one for one in Databases(settings).books() if book in ("both", one.name)]
    demand_apart({one.name: one.place() for one in wanted})
    for one in wanted:
        before = one.version()
        if dry_run:
            if before is not None and before > newest():
                check_version(f"book {one.name!r}", before)
            applied = one.pending()
        else:
            applied = one.migrate(say=lambda text: click.echo(f"  {text}", err=True), patience=patience)
            for model in adopt(one, contracts(settings.project).values() if settings.project else ()):
                click.echo(f"  book {one.name.upper()}: releases of {model} are known by its present digest", err=True)
        told.append({"book": one.name, "before": before, "migrations": [str(migration) for migration in applied]})
        if as_json:
            continue
        found = named(before) if dry_run or not applied else f"version {newest()}, before {named(before)}"
        done = f"{'to apply' if dry_run else 'applied'}: {', '.join(map(str, applied))}" if applied else "nothing to do"
        click.echo(f"{one.name.upper()}: {found}; {done}.")
    if as_json:
        click.echo(msgspec.json.encode(told))
