"""`penstock releases`: the ledger of a model."""

import sys
from collections.abc import Mapping
from typing import Any

import click
import msgspec

from penstock.declare.metrics import judged_by, judged_value, label_of
from penstock.quantity import measured
from penstock.settings import BookName


@click.command("releases", epilog="Example: penstock releases flight_delay --book prod")
@click.argument("model")
@click.option("--book", type=click.Choice(["test", "prod"]), default="prod", show_default=True)
@click.option("--limit", default=20, show_default=True, help="How many entries, newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print the entries as JSON.")
def command(model: str, book: BookName, limit: int, as_json: bool) -> None:
    """Print who released which release of MODEL when and why, newest first."""
    from penstock.releases.ledger import current, ledger
    from penstock.runtime import Runtime

    runtime = Runtime.load()
    runtime.demand_model(model)
    chosen = runtime.books.named(book)
    entries, now = ledger(chosen, model, limit=limit), current(chosen, model)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(entries), indent=2).decode())
        return
    if not entries:
        click.echo(f"No release of {model} in {book.upper()} yet: `penstock train {model}` makes one.")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Releases of {model} in {book.upper()}", title_justify="left")
    judged = {judged_by(entry.metrics) for entry in entries}
    title = label_of(judged.copy().pop()) if len(judged) == 1 else "metric"
    for column in ("", "release", "action", "period", title, "artifact", "replaced", "at", "who", "why"):
        table.add_column(column, no_wrap=column not in {"who", "why"}, overflow="fold")
    for entry in entries:
        table.add_row(
            "▶" if now is not None and entry.entry == now.entry else "",
            str(entry.release),
            entry.action,
            entry.period,
            _value(entry.metrics, named=len(judged) > 1),
            entry.artifact[:12],
            str(entry.replaced or ""),
            f"{entry.at:%Y-%m-%d %H:%M}",
            entry.who,
            entry.why,
        )
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _value(metrics: Mapping[str, Any], *, named: bool) -> str:
    """The value of the metric that the release was judged by, with its name where others were judged by another."""
    metric = judged_by(metrics)
    value = measured(judged_value(metrics))
    return f"{label_of(metric)} {value}" if named else value
