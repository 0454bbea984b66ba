"""`penstock advise`: what would serving a warehouse table take?"""

import click
import msgspec

from penstock.quantity import counted


@click.command(epilog="Example: penstock advise source.flights")
@click.argument("table")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def advise(table: str, as_json: bool) -> None:
    """Measure on a sample what serving TABLE would take: rows, bytes, keys, lookup cost, prejoin or not.

    TABLE is a declared replicated table, or any table of the warehouse. The sample goes into a temporary table of the
    TEST book; nothing is left there.
    """
    from rich.console import Console
    from rich.table import Table

    from penstock.publish.advice import advise as measure
    from penstock.publish.advice import whole_table
    from penstock.runtime import Runtime

    runtime = Runtime.load()
    known = runtime.declared.tables.get(table)
    query = known.query if known else whole_table(table)
    advice = measure(runtime.warehouse, runtime.books.test, table, query, [known.key] if known else [])
    if as_json:
        click.echo(msgspec.json.encode(advice))
        return
    shown = Table(
        "key",
        "index in a book",
        "lookup p99",
        title=f"{table}: {counted(advice.rows, 'row')}, {advice.sampled:,} sampled",
    )
    for one in advice.candidates:
        shown.add_row(", ".join(one.columns), f"{one.index_bytes / 1e6:,.1f} MB", f"{one.lookup_p99_ms:.2f} ms")
    console = Console()
    console.print(shown)
    console.print(f"In each book: {advice.bytes / 1e6:,.1f} MB. Advice: [bold]{advice.verdict}[/], {advice.reason}.")
