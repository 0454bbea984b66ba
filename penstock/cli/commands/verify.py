"""`penstock verify`: are the books equal to the snapshots, to the bit?"""

import click
import msgspec


@click.command(epilog="Example: penstock verify route_history")
@click.argument("tables", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array instead of a table.")
def verify(tables: tuple[str, ...], as_json: bool) -> None:
    """Recompute the digests of all current replicated tables, or of TABLES, in TEST, in PROD and in the store.

    Ends with status 1 when anything differs.
    """
    from rich.console import Console
    from rich.table import Table

    from penstock.runtime import Runtime
    from penstock.verify import verify as verifying

    runtime = Runtime.load()
    found = verifying.verify(runtime.books, runtime.snapshots, tables)
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        shown = Table("book", "table", "rows", "digest", "equal", "finding")
        for one in found:
            verdict = "[green]yes[/]" if one.equal else "[red]NO[/]"
            shown.add_row(one.book, one.table, f"{one.rows:,}", one.digest[:12] or "-", verdict, one.finding)
        Console().print(shown)
    absent = sorted(set(tables) - {one.table for one in found})
    if absent:
        raise click.ClickException(f"not published in any book: {', '.join(absent)}. See `penstock publish --help`.")
    if not all(one.equal for one in found):
        raise SystemExit(1)
