"""`penstock explain`: why journaled predictions were made."""

import click
import msgspec

from penstock.errors import PenstockError, demand_none
from penstock.settings import BookName


@click.command("explain", epilog="Example: penstock explain 01a20260-fff0-7000-a1a4-4f4f21fead59")
@click.argument("ids", nargs=-1, required=True)
@click.option("--book", type=click.Choice(["test", "prod"]), default="prod", show_default=True)
@click.option("--most", default=10, show_default=True, help="So many features of each, the largest first; 0 is all.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document per prediction.")
def command(ids: tuple[str, ...], book: BookName, most: int, as_json: bool) -> None:
    """Print what each feature contributed to journaled predictions, from the very rows that were looked up.

    Contributions and the base value add up to the raw score of the release that made the prediction: the log-odds of
    a boosted classifier, the value of most regressors. The release must have been trained with Model(explain=True).
    """
    from penstock.cli.explained import explained_lines
    from penstock.journal.explaining import explain_each
    from penstock.journal.replay import Replay
    from penstock.runtime import Runtime

    runtime = Runtime.load()
    chosen = runtime.books.named(book)
    replay = Replay(
        book=chosen,
        contracts=runtime.contracts.by_model,
        artifacts=runtime.artifacts,
        cache=runtime.settings.artifact_cache,
    )
    faults: list[PenstockError] = []
    found = 0
    for same, reasons in explain_each(replay, runtime.contracts.contract, ids):
        found += len(same)
        if isinstance(reasons, PenstockError):
            faults.append(reasons)
            continue
        for one in reasons:
            if as_json:
                entry = {"id": one.entry.id, "model": one.entry.model, "release": one.entry.release}
                why = msgspec.to_builtins(one.why)
                click.echo(msgspec.json.encode(entry | why | {"features": one.values}))
            else:
                click.echo("\n".join(explained_lines(one, most)))
    if found < len(set(ids)):
        expected = f"{len(set(ids))} in the journal of {book.upper()}"
        todo = "Another book may have the others: --book test."
        faults.append(PenstockError("predictions to explain", expected=expected, found=str(found), todo=todo))
    demand_none(faults)
