"""Predictions on a machine on which other programs work as well: `make bench-serve.busy`.

A training run, a compiler, another service: what wants all CPU. The service is measured alone, beside twice as many
busy processes as there are CPUs, and beside as many that give way as our own Dagster runs do; each with the niceness
that Ray gives its workers, and with ours.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import click

from benchmarks.service import home as serve_home
from benchmarks.service.load import Load, measure, middle
from benchmarks.service.targets import on_ray, write_requests
from penstock.cli.system.dagster_system import RUN_NICENESS
from penstock.processes import give_way
from penstock.serving.on_ray import cluster
from penstock.serving.on_ray import environment as ray_environment
from penstock.settings import Settings

CONNECTIONS = 8
BUSY = "while True: sum(range(10_000))"
SIDES = {"as Ray has it, 15": "15", "ours, 0": ray_environment.NICENESS}


@click.command(epilog="Example: python -m benchmarks.serve.busy --rounds 1 --seconds 2")
@click.option("--rounds", default=3, show_default=True, help="How often each side is started and measured.")
@click.option("--seconds", default=4.0, show_default=True, help="Seconds of each measurement.")
@serve_home.keep
def main(rounds: int, seconds: float, home: Path | None) -> None:
    """Print rate and latency at 8 connections, alone and beside busy processes, with Ray's niceness and with ours."""
    made: dict[tuple[str, str], list[Load]] = {}
    with serve_home.home(home) as settings:
        posted = serve_home.requests(settings, 2000)
        write_requests(settings, posted, len(posted), len(posted))
        for _ in range(rounds):
            for side, niceness in SIDES.items():
                for beside, load in _loads(settings, niceness, seconds):
                    made.setdefault((side, beside), []).append(load)
                    click.echo(f"{side}, {beside}: {load.line()}", err=True)
    click.echo("| niceness of replicas and HAProxy | beside | predictions/s | p50 | p99 | non-2xx |")
    click.echo("|---|---|---|---|---|---|")
    for (side, beside), loads in made.items():
        load = middle(loads)
        click.echo(
            f"| {side} | {beside} | {load.rate:,.0f} | {load.p50_ms:.1f} ms | {load.p99_ms:.1f} ms | {load.failed} |"
        )


def _loads(settings: Settings, niceness: str, seconds: float) -> Iterator[tuple[str, Load]]:
    def switches(home: Path) -> dict[str, str]:
        return ray_environment.ray_switches(home) | {"RAY_worker_niceness": niceness}

    count = 2 * (os.cpu_count() or 1)
    with mock.patch.object(cluster, "ray_switches", switches), on_ray(settings) as (target, *_):
        measure(target, CONNECTIONS, seconds)
        yield "nothing", measure(target, CONNECTIONS, seconds)
        with _busy(count):
            yield f"{count} busy processes", measure(target, CONNECTIONS, seconds)
        with _busy(count, RUN_NICENESS):
            yield f"{count} busy runs of Dagster", measure(target, CONNECTIONS, seconds)


@contextmanager
def _busy(count: int, niceness: int = 0) -> Iterator[None]:
    """Processes that use all CPU that they get."""
    started = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        for process in started:
            give_way(niceness, process.pid)
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
