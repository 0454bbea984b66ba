"""`penstock card`: the model card of a release."""

import click
import msgspec

from penstock.errors import PenstockError
from penstock.settings import BookName


@click.command("card", epilog="Example: penstock card flight_delay --release 3")
@click.argument("model")
@click.option("--release", type=int, help="Which release; the current one if not given.")
@click.option("--book", type=click.Choice(["test", "prod"]), default="prod", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the card as JSON, with its plot in base64.")
@click.option("--html", "as_html", is_flag=True, help="Print the card as one HTML page, with its plot.")
def command(model: str, release: int | None, book: BookName, as_json: bool, as_html: bool) -> None:
    """Print the card of a release of MODEL as Markdown: what it is for, was made from, and how it did."""
    if as_json and as_html:
        raise click.UsageError("--json and --html exclude each other.")
    from penstock.releases.card_text import html, markdown
    from penstock.releases.ledger import current, newest_entry
    from penstock.runtime import Runtime

    runtime = Runtime.load()
    runtime.demand_model(model)
    chosen = runtime.books.named(book)
    entry = current(chosen, model) if release is None else newest_entry(chosen, model, release)
    if entry is None:
        raise PenstockError(
            f"release of {model} in {book.upper()}",
            expected="a current release" if release is None else f"release {release}",
            found="none",
            todo=f"`penstock releases {model} --book {book}` lists them; `penstock train {model}` makes one.",
        )
    card = runtime.cards.get(entry.artifact)
    if card is None:
        raise PenstockError(
            f"card of release {entry.release} of {model}",
            expected=f"one beside artifact {entry.artifact[:12]}",
            found="none",
            todo=f"`penstock train {model} --period {entry.period} --candidate-only` writes it again.",
        )
    if as_json:
        both = msgspec.json.encode({"release": entry, "card": card})
        click.echo(msgspec.json.format(both, indent=2).decode())
    else:
        click.echo(html(card, entry) if as_html else markdown(card, entry))
