"""`penstock replay`: journaled predictions made again and compared."""

import re
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click
import msgspec

from penstock.errors import PenstockError
from penstock.quantity import counted
from penstock.settings import BookName

if TYPE_CHECKING:
    from penstock.contract.contract import Contract
    from penstock.journal.reading import JournalEntry
    from penstock.journal.replay import Replay
    from penstock.journal.verdict import Verdict

UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


@click.command("replay", epilog="Example: penstock replay --since 6h --book prod")
@click.argument("ids", nargs=-1)
@click.option("--since", help="Replay what was answered since then: 90m, 6h or 2d ago, or an ISO 8601 instant.")
@click.option("--model", default="", help="Only predictions of this model.")
@click.option("--limit", default=0, help="At most so many, oldest first; 0 is all.")
@click.option("--book", type=click.Choice(["test", "prod"]), default="prod", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document per prediction.")
@click.option("--against", type=int, help="Show instead which contributions move under this release of the model.")
def command(
    ids: tuple[str, ...],
    since: str | None,
    model: str,
    limit: int,
    book: BookName,
    as_json: bool,
    against: int | None,
) -> None:
    """Make predictions again from their stored request, release and snapshots, and compare every bit.

    Give prediction IDS, or --since. Shows the first stage that differs: contract, artifact, snapshots, looked_up,
    features or output. What another contract predicted is made again by the code that is kept beside its artifact, in
    a process of its own; predictions whose code is not kept are counted by it. Exits with status 1 if any differs, or
    was not replayed.

    With --against RELEASE nothing is compared: the predictions are explained by the release that made them and by that
    one, and what moved most is shown. Both must have been trained with Model(explain=True).
    """
    from penstock.journal.replay import Replay
    from penstock.releases.code_archive import CodeArchive
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
        archive=CodeArchive(runtime.settings.artifacts),
    )
    since_when = instant(since, runtime.settings.now())
    if against is not None:
        for same in replay.by_artifact(ids=ids, since=since_when, model=model, limit=limit):
            show_moves(replay, known.contract(same[0].model), same, against, as_json=as_json)
        return
    tally = Tally()
    for verdict in replay.run(ids=ids, since=since_when, model=model, limit=limit):
        line = tally.add(verdict)
        if as_json:
            click.echo(msgspec.json.encode(verdict))
        elif line:
            click.echo(line)
    missing = max(len(set(ids)) - tally.count, 0)
    if not as_json:
        click.echo("\n".join(tally.lines()))
        if missing:
            click.echo(f"{missing} not in the journal of {book.upper()}.")
    if not tally.all_the_same or missing:
        raise SystemExit(1)


def show_moves(
    replay: "Replay", contract: "Contract", entries: "list[JournalEntry]", against: int, *, as_json: bool
) -> None:
    """Print which contributions of predictions of one release move under another."""
    from penstock.cli.explained import moved_lines
    from penstock.journal.moved import moves

    first = entries[0]
    other = replay.artifact(replay.artifact_of(first.model, against))
    found = moves(contract, replay.artifact(first.artifact), other, entries)
    if as_json:
        click.echo(msgspec.json.encode({"release": first.release, "against": against, "moves": found}))
    else:
        click.echo("\n".join(moved_lines(found, first.release, against)))


class Tally:
    """Counts verdicts: those that are the same, those that differ, and by code those whose code is not here."""

    def __init__(self) -> None:
        self.count = self._different = self._near = 0
        self._needed: Counter[str] = Counter()

    @property
    def all_the_same(self) -> bool:
        """Whether every prediction was made again."""
        return not self._different and not self._needed

    def add(self, verdict: "Verdict") -> str:
        """Count a verdict; returns the line that tells of a difference, empty if there is none to tell."""
        self.count += 1
        self._near += verdict.near
        if verdict.needs_code:
            self._needed[f"{verdict.model}, release {verdict.release}: needs code {verdict.needs_code}"] += 1
        elif not verdict.same:
            self._different += 1
            return f"{verdict.id}  {verdict.stage} differs: journaled {verdict.expected}, now {verdict.found}"
        return ""

    def lines(self) -> list[str]:
        """What there was in all."""
        replayed = self.count - self._needed.total()
        near = f"{self._near} but for the last bits of what a library predicts, " if self._near else ""
        identical = f"{replayed - self._different - self._near} identical to the bit"
        same = f"{replayed} replayed, {identical}, {near}{self._different} different."
        return [same, *(f"{counted(count, 'prediction')} of {code}." for code, count in self._needed.items())]


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
