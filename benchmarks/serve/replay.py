"""How long making ten thousand predictions again takes: `python -m benchmarks.serve.replay [--predictions 10000]`."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import click
import httpx
import msgspec

from benchmarks.service import home as serve_home
from benchmarks.service.changes import Changes, changes
from benchmarks.service.targets import bare
from penstock.contract.registry import contracts
from penstock.journal.replay import Replay
from penstock.postgres.book import Book
from penstock.releases.artifacts import ArtifactStore
from penstock.settings import Settings

ARRAY = 200
MOMENT = datetime(2026, 11, 22, 8, tzinfo=UTC)
SETTLE_SECONDS = 1.5


class ReplayResult(msgspec.Struct, frozen=True):
    """What was replayed; `stages` counts the first stages that differ, which should be none."""

    predictions: int
    releases: int
    sets_of_snapshots: int
    identical: int
    stages: dict[str, int]
    seconds: float


@click.command(epilog="Example: python -m benchmarks.serve.replay --predictions 2000 --json")
@click.option("--predictions", default=10_000, show_default=True, help="Least predictions to make and to replay.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@serve_home.keep
def main(*, predictions: int, as_json: bool, home: Path | None) -> None:
    """Predict across two releases and a publish of every looked-up table, then make all of it again."""
    with serve_home.home(home) as settings:
        since = datetime.now(UTC)
        made = changes(settings)
        with contextlib.ExitStack() as running:
            (target,) = running.enter_context(bare(settings))
            asked, snapshots = predict(target.url, serve_home.requests(settings, 2000), made, predictions)
        found = replay(settings, since - timedelta(seconds=1), len(snapshots))
    click.echo(msgspec.json.encode(found) if as_json else _text(found))
    if found.identical < asked:
        raise SystemExit(1)


def predict(url: str, requests: list[dict[str, Any]], made: Changes, least: int) -> tuple[int, set[str]]:
    """Make predictions, with a change after each part of them. Each asks what none has asked before.

    Gives how many, and the different sets of snapshots that they were made from.
    """
    publishes: list[Callable[[], object]] = [partial(made.publish, name) for name in made.contents]
    steps: list[Callable[[], object]] = [made.release, *publishes, made.roll_back]
    part = -(-least // (len(steps) + 1))
    asked, snapshots = 0, set[str]()
    start = MOMENT + timedelta(microseconds=time.time_ns() // 1000 % 3_600_000_000)
    with httpx.Client(timeout=60) as client:
        for step in [*steps, None]:
            end = asked + part
            while asked < end:
                rows = [
                    requests[(asked + n) % len(requests)]
                    | {"asked_at": (start + timedelta(milliseconds=asked + n)).isoformat()}
                    for n in range(min(ARRAY, end - asked))
                ]
                body = rows if len(rows) > 1 else rows[0]
                answer = client.post(url, json=body).raise_for_status().json()
                snapshots.add(str((answer[0] if isinstance(answer, list) else answer)["snapshots"]))
                asked += len(rows)
            if step is not None:
                step()
                time.sleep(SETTLE_SECONDS)  # the replica takes it up
    return asked, snapshots


def replay(settings: Settings, since: datetime, sets_of_snapshots: int) -> ReplayResult:
    """Make every prediction since an instant again."""
    again = Replay(
        book=Book("prod", settings.prod_url),
        contracts=contracts(),
        artifacts=ArtifactStore(settings.artifacts),
        cache=settings.home / "cache" / "artifacts",
        snapshots=settings.snapshots,
    )
    began = time.perf_counter()
    verdicts = list(again.run(since=since))
    seconds = time.perf_counter() - began
    stages = Counter(verdict.stage for verdict in verdicts)
    return ReplayResult(
        len(verdicts),
        len({verdict.release for verdict in verdicts}),
        sets_of_snapshots,
        stages.pop("", 0),
        {str(stage): count for stage, count in stages.items()},
        round(seconds, 2),
    )


def _text(found: ReplayResult) -> str:
    origins = f"{found.releases} releases and {found.sets_of_snapshots} sets of snapshots"
    different = "".join(f", {count} differ in {stage}" for stage, count in found.stages.items())
    verdict = f"{found.identical:,} identical to the bit{different}"
    return f"{found.predictions:,} predictions of {origins} replayed in {found.seconds:.1f} s: {verdict}"


if __name__ == "__main__":
    main()
