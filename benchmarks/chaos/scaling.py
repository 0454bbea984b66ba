"""A step of load from 1x to 4x and back: when further replicas answer, what fails, whether their number is calm."""

import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import click
import httpx
import msgspec
import psutil
import yaml

from benchmarks import ROOT
from benchmarks.chaos.serve import PATH, REQUESTS, Questions
from benchmarks.service import home as serve_home
from benchmarks.service.clients import Clients
from benchmarks.service.stand import Stand, stand

LOOK_SECONDS = 0.1
FEW, MANY = 4, 16
"""Clients before and after the step: each has one request under way."""
TARGET = 6
"""target_ongoing_requests: one replica is enough for FEW, three for MANY. The shipped 64 would need 256 clients."""
LEAST, MOST = 1, 3


class ScalingReport(msgspec.Struct, frozen=True):
    """What the step did. `counts` are the numbers of replicas that Ray wanted, in their order.

    In seconds after the step, of the first further replica: `process_s`, when Ray started its process; `actor_s`, when
    that had become one of Ray's replicas; `first_further_s`, when it answered.
    """

    process_s: float
    actor_s: float
    first_further_s: float
    counts: list[int]
    answers: int
    failed: dict[str, int]
    longest_pause_s: float
    calm_again_s: float


class Counter(threading.Thread):
    """Looks which replicas answer: the moment of each that is new, and each change of how many run."""

    def __init__(self, stood: Stand) -> None:
        super().__init__(daemon=True)
        self.answered: dict[int, float] = {}
        self.counts: list[int] = []
        self.seen: dict[int, tuple[float, float]] = {}
        """Pid of a replica -> when its process began, and when it was seen."""
        self._stood, self._ended = stood, threading.Event()

    def run(self) -> None:
        """Look until the end."""
        url = f"http://127.0.0.1:{self._stood.settings.http_port}/state"
        while not self._ended.wait(LOOK_SECONDS):
            with suppress(httpx.HTTPError, ValueError, KeyError):
                self.answered.setdefault(httpx.get(url, timeout=5).json()["replica"], time.monotonic())
            replicas = self._stood.processes("replica")
            if self.counts[-1:] != [len(replicas)]:
                self.counts.append(len(replicas))
            for process in replicas:
                with suppress(psutil.NoSuchProcess):
                    began = time.monotonic() - (time.time() - process.create_time())
                    self.seen.setdefault(process.pid, (began, time.monotonic()))

    def end(self) -> None:
        """End looking."""
        self._ended.set()
        self.join()


@click.command(epilog="Example: python -m benchmarks.chaos.scaling --hold 20")
@click.option("--hold", default=20.0, show_default=True, help="Seconds of each load.")
@click.option("--downscale-delay", default=15.0, show_default=True, help="downscale_delay_s; shipped are 300.")
@serve_home.keep
def main(*, hold: float, downscale_delay: float, home: Path | None) -> None:
    """Ask four times as much at once, and then as before; ends with 1 if a request failed."""
    shipped = yaml.safe_load((ROOT / "serve_app" / "serve_config.yaml").read_text())
    scaling = shipped["applications"][0]["deployments"][0]["autoscaling_config"]
    scaling |= {"min_replicas": LEAST, "max_replicas": MOST, "target_ongoing_requests": TARGET}
    scaling |= {"downscale_delay_s": downscale_delay}
    with serve_home.home(home) as settings, stand(settings, LEAST) as stood, ExitStack() as stack:
        stood.configure(LEAST, {"autoscaling_config": scaling})
        questions = Questions(serve_home.requests(settings, REQUESTS), clients=MANY, hour=7)
        few = stack.enter_context(Clients(lambda: settings.http_port, PATH, questions, count=FEW, patient=False))
        counter = Counter(stood)
        counter.start()
        time.sleep(hold)
        before = len(counter.answered)
        further = Clients(
            lambda: settings.http_port, PATH, lambda c, n: questions(FEW + c, n), count=MANY - FEW, patient=False
        )
        with further:
            stepped = time.monotonic()
            time.sleep(hold)
        lowered = time.monotonic()
        while len(stood.processes("replica")) > LEAST and time.monotonic() < lowered + downscale_delay + 60:
            time.sleep(LOOK_SECONDS)
        calm = time.monotonic() - lowered
        counter.end()
        seen = [few.fresh(), further.fresh()]
    further_ones = sorted((moment, pid) for pid, moment in counter.answered.items())[before:]
    if not further_ones:
        raise click.ClickException(f"no further replica answered within {hold:.0f} s")
    answered, pid = further_ones[0]
    began, seen_at = counter.seen[pid]
    report = ScalingReport(
        began - stepped,
        seen_at - stepped,
        answered - stepped,
        counter.counts,
        sum(len(one.given) for one in seen),
        dict(seen[0].troubles + seen[1].troubles),
        max(one.slowest for one in seen),
        calm,
    )
    click.echo(msgspec.json.encode(report).decode())
    if report.failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
