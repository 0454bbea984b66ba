"""Whether a replica's memory grows under load: `python -m benchmarks.serve.memory --minutes 30`."""

import time
from pathlib import Path
from statistics import linear_regression, mean

import click
import msgspec

from benchmarks.service import home as serve_home
from benchmarks.service import targets as serve_targets
from benchmarks.service.load import measure
from benchmarks.service.targets import Target
from penstock.processes import memory

CONNECTIONS = 8
PIECE_SECONDS = 10.0
MOST_MB_AN_HOUR = 20.0


class Memory(msgspec.Struct, frozen=True):
    """What was seen; the slope is of the second half, when caches are full."""

    minutes: float
    requests: int
    failed: int
    first_mb: float
    last_mb: float
    mb_an_hour: float
    mb: tuple[float, ...]


@click.command(epilog="Example: python -m benchmarks.serve.memory --minutes 5 --json")
@click.option("--minutes", default=5.0, show_default=True, help="How long to load the service; 30 for a verdict.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@serve_home.keep
def main(*, minutes: float, as_json: bool, home: Path | None) -> None:
    """Load the service on Ray Serve and watch what its replica holds (PSS); ends with 1 if it keeps growing."""
    with serve_home.home(home) as settings:
        serve_targets.write_requests(settings, serve_home.requests(settings, 2000), 2000, 1000)
        with serve_targets.on_ray(settings) as targets:
            found = watch(targets[0], minutes)
    click.echo(msgspec.json.encode(found) if as_json else _text(found))
    if found.mb_an_hour > MOST_MB_AN_HOUR and found.last_mb > found.first_mb + 2:
        raise SystemExit(1)


def watch(target: Target, minutes: float) -> Memory:
    """Load a target for some minutes, and take its replica's memory after each piece."""
    replicas = [process for process in target.answering() if "ServeReplica" in " ".join(process.cmdline())]
    began = time.monotonic()
    target.wake()
    requests, failed = 0.0, 0
    moments: list[float] = []
    held: list[float] = []
    while time.monotonic() < began + minutes * 60 or len(held) < 4:
        load = measure(target, CONNECTIONS, PIECE_SECONDS)
        requests, failed = requests + load.rate * PIECE_SECONDS, failed + load.failed
        moments.append((time.monotonic() - began) / 3600)
        held.append(memory(replicas) / 1e6)
        click.echo(f"{moments[-1] * 60:5.1f} min  {held[-1]:7.1f} MB  {load.rate:,.0f} req/s", err=True)
    half = len(held) // 2
    slope = linear_regression(moments[half:], held[half:]).slope
    return Memory(
        round(moments[-1] * 60, 1),
        int(requests),
        failed,
        round(mean(held[half : half + 2]), 1),
        round(mean(held[-2:]), 1),
        round(slope, 2),
        tuple(round(one, 1) for one in held),
    )


def _text(found: Memory) -> str:
    return (
        f"{found.requests:,} requests in {found.minutes} minutes, {found.failed} failed: {found.first_mb} MB half-way,"
        f" {found.last_mb} MB at the end, {found.mb_an_hour:+.1f} MB an hour over the second half"
    )


if __name__ == "__main__":
    main()
