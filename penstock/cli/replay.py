"""`penstock replay`: journaled predictions made again and compared."""

import re
from datetime import datetime, timedelta

import click
import msgspec

from penstock.errors import PenstockError
from penstock.settings import BookName

UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


@click.command("replay", epilog="Example: penstock replay --since 6h --book prod")
@click.argument("ids", nargs=-1)
@click.option("--since", help="Replay what was answered since then: 90m, 6h or 2d ago, or an ISO 8601 instant.")
@click.option("--model", default="", help="Only predictions of this model.")
@click.option("--limit", default=0, help="At most so many, oldest first; 0 is all.")
@click.option("--book", type=click.Choice(["test", "prod"]), default="prod", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document per prediction.")
def command(ids: tuple[str, ...], since: str | None, model: str, limit: int, book: BookName, as_json: bool) -> None:
    """Make predictions again from their stored request, release and snapshots, and compare every bit.

    Give prediction IDS, or --since. Shows the first stage that differs: contract, artifact, snapshots, looked_up,
    features or output. Exits with status 1 if any differs.
    """
    from penstock.journal.replay import Replay
    from penstock.runtime import Runtime

    if not ids and not since:
        raise click.UsageError("Give prediction ids, or --since.")
    runtime = Runtime.load()
    known = runtime.contracts
    if model:
        known.contract(model)
    for broken in known.broken:
        click.echo(f"Predictions of {broken.module.rpartition('.')[2]} cannot be made again: {broken}", err=True)
    replay = Replay(
        book=runtime.books.named(book),
        contracts=known.by_model,
        artifacts=runtime.artifacts,
        cache=runtime.settings.artifact_cache,
        snapshots=runtime.settings.snapshots,
    )
    count = different = 0
    for verdict in replay.run(ids=ids, since=instant(since, runtime.settings.now()), model=model, limit=limit):
        count += 1
        different += not verdict.same
        if as_json:
            click.echo(msgspec.json.encode(verdict))
        elif not verdict.same:
            click.echo(f"{verdict.id}  {verdict.stage} differs: journaled {verdict.expected}, now {verdict.found}")
    missing = len(ids) - count if ids else 0
    if not as_json:
        click.echo(f"{count} replayed, {count - different} identical to the bit, {different} different.")
        if missing > 0:
            click.echo(f"{missing} not in the journal of {book.upper()}.")
    if different or missing > 0:
        raise SystemExit(1)


def instant(text: str | None, now: datetime) -> datetime | None:
    """What --since means: so long before now (`90m`, `6h`, `2d`), or an ISO 8601 instant."""
    if not text:
        return None
    if ago := re.fullmatch(r"(\d+)([smhd])", text):
        return now - int(ago[1]) * UNITS[ago[2]]
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        expected = "a time ago such as 90m, 6h or 2d, or an ISO 8601 instant"
        raise PenstockError("--since", expected=expected, found=repr(text)) from None
    return given.astimezone() if given.tzinfo is None else given
