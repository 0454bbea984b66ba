"""`penstock publish`: extract replicated tables and make them current in TEST and PROD."""

import getpass

import click
import msgspec


@click.command(epilog="Example: penstock publish route_history")
@click.argument("tables", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Publish every declared table.")
@click.option("--test-only", is_flag=True, help="Stop after the TEST book.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array instead of a table.")
def publish(tables: tuple[str, ...], everything: bool, test_only: bool, as_json: bool) -> None:
    """Extract TABLES from the warehouse, and those of their groups, and publish them: load, index, verify, check
    lookups, switch.

    TEST comes before PROD, content that is current already is skipped, and whatever fails leaves the books as they
    were.
    """
    from rich.console import Console

    from penstock.cli.publish_report import publications_table
    from penstock.declare.discovery import declared
    from penstock.extract.extract import extract
    from penstock.postgres.urls import open_books
    from penstock.publish import publish as publishing
    from penstock.settings import load
    from penstock.warehouse.opening import open_warehouse

    if bool(tables) == everything:
        raise click.UsageError("name the tables to publish, or give --all")
    settings = load()
    known = declared(settings.project)
    if everything:
        known.whole()
    names = {known.table(name).name for name in (known.tables if everything else tables)}
    wanted = [group for group in known.groups() if any(table.name in names for table in group)]
    books = open_books(settings)[: 1 if test_only else 2]
    done = []
    with Console(stderr=True).status("starting") as status:
        for group in wanted:
            taken = []
            for table in group:
                for preparation in known.preparations_for(table):
                    status.update(f"{table.name}: preparing {preparation.name} in the warehouse")
                    open_warehouse(settings).prepare(preparation.script)
                status.update(f"{table.name}: extracting")
                taken.append((extract(settings, table), table))

            def show(stage: str, rows: int, of: int, name: str = ", ".join(table.name for table in group)) -> None:
                status.update(f"{name}: {stage}" + (f" {rows:,} of {of:,} rows" if of else ""))

            done += publishing.publish_group(taken, books, who=getpass.getuser(), progress=show)
    if as_json:
        click.echo(msgspec.json.encode(done))
    else:
        Console().print(publications_table(done))
