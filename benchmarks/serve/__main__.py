"""How fast predictions are served, beside what others run: `python -m benchmarks.serve [--quick]`."""

import contextlib
import shutil
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click
import httpx
import msgspec

from benchmarks.rivals import servers as serve_foreign
from benchmarks.serve.replica import further_replica
from benchmarks.serve.report import BARE, COMPARED_AT, HANDWRITTEN, RAY, Report
from benchmarks.service import files as serve_files
from benchmarks.service import home as serve_home
from benchmarks.service import targets as serve_targets
from benchmarks.service.load import Load, measure, middle
from benchmarks.service.targets import Target
from penstock.settings import Settings

CONNECTIONS = (1, 8, 64)
REQUESTS = 2000
ARRAYS, ROWS = 12, 1000
FIRST_SECONDS, WARM_SECONDS = 5.0, 1.0
"""Of load before a target is measured: in the first round its tables get into memory meanwhile."""
IDLE_SECONDS = 4.0
MOMENT = "2026-11-22T09:00:00Z"

Start = Callable[[Settings], AbstractContextManager[list[Target]]]
STARTS: dict[str, Start] = {
    "ray": serve_targets.on_ray,
    "bare": serve_targets.bare,
    "handwritten": serve_targets.handwritten,
    "mlflow": serve_foreign.mlflow,
    "bentoml": serve_foreign.bentoml,
    "mlserver": serve_foreign.mlserver,
}


@click.command(epilog="Example: python -m benchmarks.serve --quick --only ray --only bare")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
@click.option("--quick", is_flag=True, help="One round of two seconds a measurement.")
@click.option("--rounds", default=3, show_default=True, help="Rounds over all targets.")
@click.option("--seconds", default=3.0, show_default=True, help="Seconds of one measurement.")
@click.option("--only", multiple=True, type=click.Choice(list(STARTS)), help="Only these targets.")
@serve_home.keep
def main(*, as_json: bool, quick: bool, rounds: int, seconds: float, only: tuple[str, ...], home: Path | None) -> None:
    """Measure all targets, interleaved, in one run.

    All run from the start, one is under load at a time; those that can be stopped meanwhile are. Rates depend on the
    machine: compare CPU per request first, rates only within one run. The three foreign servers are installed by pip
    into a folder that PENSTOCK_BENCH_VENVS names, and only predict.
    """
    if not shutil.which("wrk"):
        raise click.ClickException("wrk is not installed (Debian: apt-get install wrk).")
    starts = {name: start for name, start in STARTS.items() if not only or name in only}
    for name in starts:
        if name in serve_foreign.PACKAGES:
            serve_foreign.environment(name)
    with serve_home.home(home) as settings, contextlib.ExitStack() as running:
        posted = _write_requests(settings, foreign=bool(starts.keys() & serve_foreign.PACKAGES.keys()))
        targets = [target for start in starts.values() for target in running.enter_context(start(settings))]
        report = _measure(targets, settings, posted, 1 if quick else rounds, 2.0 if quick else seconds)
    click.echo(msgspec.json.format(msgspec.json.encode(report)) if as_json else report.text())


def _write_requests(settings: Settings, *, foreign: bool) -> list[dict[str, Any]]:
    posted = serve_home.requests(settings, ARRAYS * ROWS)
    serve_targets.write_requests(settings, posted, REQUESTS, ROWS)
    posted = posted[:REQUESTS]
    if foreign:
        serve_foreign.prepare(settings, posted, MOMENT)
    return posted


def _measure(
    targets: list[Target], settings: Settings, posted: list[dict[str, Any]], rounds: int, seconds: float
) -> Report:
    found: dict[tuple[str, int], list[Load]] = defaultdict(list)
    rows: dict[str, list[float]] = defaultdict(list)
    by_name = {target.name: target for target in targets}
    difference = _compare(by_name, posted) if {RAY, HANDWRITTEN} <= by_name.keys() else None
    for target in targets:
        target.sleep()
    idle = _idle(by_name[RAY]) if RAY in by_name else None
    for number in range(rounds):
        for target in targets:
            target.wake()
            measure(target, 8, WARM_SECONDS if number else FIRST_SECONDS)
            for connections in CONNECTIONS:
                load = measure(target, connections, seconds)
                found[target.name, connections].append(load)
                click.echo(f"{number + 1}/{rounds} {load.line()}", err=True)
            if target.name in (RAY, BARE):
                load = measure(target, COMPARED_AT, seconds, settings.home / serve_files.ARRAYS)
                rows[target.name].append(load.rate * ROWS)
                click.echo(f"{number + 1}/{rounds} arrays: {load.line()}", err=True)
            target.sleep()
    loads = [middle(loads) for _, loads in sorted(found.items(), key=lambda item: item[0][1])]
    further = further_replica(settings, by_name[RAY]) if RAY in by_name else None
    medians = {name: sorted(values)[len(values) // 2] for name, values in rows.items()}
    return Report(loads, medians, further, idle, difference)


def _compare(targets: dict[str, Target], posted: list[dict[str, Any]]) -> float:
    """The largest difference between the probabilities of ours and the handwritten service; stops if it is one."""
    asked = [request | {"asked_at": MOMENT} for request in posted[:ROWS]]
    answers = [httpx.post(targets[name].url, json=asked, timeout=120).json() for name in (RAY, HANDWRITTEN)]
    ours = [list(answer["probabilities"].values()) for answer in answers[0]]
    theirs = [answer["probabilities"] for answer in answers[1]]
    difference = max(abs(a - b) for one, two in zip(ours, theirs, strict=True) for a, b in zip(one, two, strict=True))
    if difference > 1e-12:
        raise click.ClickException(f"Ours and the handwritten service differ by {difference:g}: nothing to compare.")
    return float(difference)


def _idle(target: Target) -> float:
    before = sum(target.cpu()) - target.cpu()[1]
    time.sleep(IDLE_SECONDS)
    return (sum(target.cpu()) - target.cpu()[1] - before) / IDLE_SECONDS


if __name__ == "__main__":
    main()
