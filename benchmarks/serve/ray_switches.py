"""What each switch of Ray Serve gives, one after the other: `make bench-serve.ray_switches`."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import NamedTuple
from unittest import mock

import click
import psutil
from starlette.middleware import Middleware

from benchmarks.service import home as serve_home
from benchmarks.service.load import Load, measure, middle
from benchmarks.service.targets import PREDICT, Target, on_ray, write_requests
from penstock.processes import tree
from penstock.serving.on_ray import cluster
from penstock.serving.on_ray import environment as ray_environment
from penstock.serving.on_ray.bypass import Bypass
from penstock.serving.on_ray.cluster import RayCluster
from penstock.settings import Settings

CONNECTIONS = 8
SERVICE = ("ServeReplica", "ProxyActor", "haproxy")
THROUGHPUT, HAPROXY = "RAY_SERVE_THROUGHPUT_OPTIMIZED", "RAY_SERVE_ENABLE_HA_PROXY"
CALLBACK = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
BYPASS_ALONE = "benchmarks.serve.ray_switches:bypass_alone"


class Step(NamedTuple):
    """One more switch, and what is still as Ray Serve has it: variables, and the starter's changes to HAProxy."""

    name: str
    without: tuple[str, ...] = ()
    watch: bool = False
    log: bool = False
    callback: str = ""


STEPS = (
    Step("Ray Serve as it comes", (THROUGHPUT, HAPROXY, CALLBACK)),
    Step("+ throughput mode", (HAPROXY, CALLBACK)),
    Step("+ HAProxy before the replica's own port", (CALLBACK,), watch=True, log=True),
    Step("+ no watching for disconnects", (CALLBACK,), log=True),
    Step("+ no log line, no splicing in HAProxy", (CALLBACK,)),
    Step("+ the bypass (`penstock/serving/on_ray/bypass.py`)", callback=BYPASS_ALONE),
    Step("+ write coalescing (`penstock/serving/on_ray/coalescing.py`)"),
)


def bypass_alone() -> list[Middleware]:
    """The bypass alone, without write coalescing."""
    return [Middleware(Bypass)]


@click.command(epilog="Example: python -m benchmarks.serve.ray_switches --rounds 1 --seconds 2")
@click.option("--rounds", default=3, show_default=True, help="How often each step is started and measured.")
@click.option("--seconds", default=3.0, show_default=True, help="Seconds of each measurement.")
@serve_home.keep
def main(rounds: int, seconds: float, home: Path | None) -> None:
    """Start the service with one switch more each time; print CPU, rate and latency of an answer at 8 connections."""
    made: dict[str, list[tuple[float, Load]]] = {step.name: [] for step in STEPS}
    with serve_home.home(home) as settings:
        posted = serve_home.requests(settings, 2000)
        write_requests(settings, posted, len(posted), len(posted))
        for turn in range(rounds):
            for step in STEPS:
                with _started(settings, step) as target:
                    made[step.name].append(_loads(target, seconds))
                click.echo(f"round {turn + 1}: {step.name}: {made[step.name][-1][1].line()}", err=True)
    click.echo("| step | a route that does nothing | predict | predictions/s | p50 | p99 |")
    click.echo("|---|---|---|---|---|---|")
    for name, rounds_of in made.items():
        nothing, load = median(pair[0] for pair in rounds_of), middle([pair[1] for pair in rounds_of])
        click.echo(
            f"| {name} | {nothing:.2f} ms | {load.answering_cpu_ms:.2f} ms | {load.rate:,.0f}"
            f" | {load.p50_ms:.1f} ms | {load.p99_ms:.1f} ms |"
        )


def _loads(target: Target, seconds: float) -> tuple[float, Load]:
    """CPU in ms of an answer of a route that does nothing, and the load of predicting, after a warm-up."""
    measure(target, CONNECTIONS, seconds)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{round(seconds)}s", target.url.replace(PREDICT, "/healthz")]
    before = target.cpu()[0]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    spent = target.cpu()[0] - before
    answers = re.search(r"(\d+) requests in", said)
    assert answers is not None
    return spent * 1000 / int(answers[1]), measure(target, CONNECTIONS, seconds)


@contextmanager
def _started(settings: Settings, step: Step) -> Iterator[Target]:
    """The service on Ray with the switches up to a step."""

    def switches(home: Path) -> dict[str, str]:
        made = ray_environment.ray_switches(home)
        starter = Path(made["RAY_SERVE_HAPROXY_BINARY_PATH"])
        text = starter.read_text()
        if step.watch:
            text = re.sub(r"http-request set-header x-request-disconnect-disabled \?1", "", text)
        if step.log:
            text = re.sub(r" -e '/\^ \*log [^\n]*/d' \"", ' "', text)
        starter.write_text(text)
        made |= {CALLBACK: step.callback} if step.callback else {}
        return {name: value for name, value in made.items() if name not in step.without}

    def service() -> list[psutil.Process]:
        head = RayCluster(settings).find()
        raylet = head.parts[-1].process() if head else None
        return [process for process in tree(raylet) if _serves(process)] if raylet else []

    with mock.patch.object(cluster, "ray_switches", switches), on_ray(settings) as targets:
        yield replace(targets[0], answering=service)


def _serves(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        command = " ".join(process.cmdline())
        return any(part in command for part in SERVICE)
    return False


if __name__ == "__main__":
    os.environ.pop(CALLBACK, None)
    main()
