"""The service under load while its parts are killed and changed: what was lost, what failed, how long it paused."""

import random
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from benchmarks.chaos.events import EventReport, events
from benchmarks.service import home as serve_home
from benchmarks.service.changes import changes
from benchmarks.service.clients import Clients, lost
from benchmarks.service.stand import Stand, stand
from penstock.postgres.book import Book
from penstock.settings import Settings

PATH = "/models/flight_delay/predict"
REQUESTS = 2000
REPLICAS = 2
KILLS = ("replica", "replica", "a process of Postgres", "Postgres", "every replica")
LEAST_PAUSE, MOST_PAUSE = 0.5, 3.0
LEAST_BETWEEN = 200
"""Answers between two kills: a service that is down cannot lose any."""


class Questions:
    """The nth question of each client: a real flight, at an instant that no other question has.

    No two clients ask about the same flight: else one could ask between another's question and its repetition, which
    is then no unchanged one and rightly journaled again.
    """

    def __init__(self, requests: list[dict[str, Any]], *, clients: int, hour: int) -> None:
        bodies = [msgspec.json.encode(request)[:-1] for request in requests]
        self._bodies = [bodies[client::clients] for client in range(clients)]
        self._hour = hour
        self._run = time.time_ns() // 1000 % 50_000_000

    def __call__(self, client: int, n: int) -> bytes:
        """The body of one question."""
        seconds, micros = divmod(self._run + n, 1_000_000)
        at = f"2026-11-22T{self._hour:02d}:{client:02d}:{seconds:02d}.{micros:06d}Z"
        own = self._bodies[client]
        return own[n % len(own)] + b',"asked_at":"%s"}' % at.encode()


def durability(
    stood: Stand, requests: list[dict[str, Any]], *, answers: int, clients: int, minutes: float
) -> dict[str, Any]:
    """Kill replicas and Postgres at random until there are so many answers, then look for each in the journal."""
    started, moments = datetime.now(UTC), random.Random(0)
    kills: Counter[str] = Counter()
    waiting: list[str] = []
    end = time.monotonic() + minutes * 60
    settings = stood.settings
    questions = Questions(requests, clients=clients, hour=10)
    with Clients(lambda: settings.http_port, PATH, questions, count=clients, patient=True) as asking:
        while len(asking.answers.given) < answers and time.monotonic() < end:
            time.sleep(moments.uniform(LEAST_PAUSE, MOST_PAUSE))
            waiting = waiting or moments.sample(KILLS, len(KILLS))
            what = waiting.pop()
            kills[what] += _kill(stood, what, moments)
            before = len(asking.answers.given)
            while len(asking.answers.given) < before + LEAST_BETWEEN and time.monotonic() < end:
                time.sleep(0.1)
        stood.wait_for_replicas(REPLICAS)
    seen = asking.answers
    found = lost(Book("prod", settings.prod_url), seen.given, since=started)
    return {
        **found,
        "given twice": seen.given_twice,
        "kills": dict(kills),
        "not answered at once": dict(seen.troubles),
        "longest pause s": round(seen.longest_pause(), 2),
    }


def _kill(stood: Stand, what: str, moments: random.Random) -> int:
    if what == "Postgres":
        stood.kill_postgres()
        time.sleep(moments.uniform(0, 1))
        stood.start_postgres()
        return 1
    if what == "a process of Postgres":
        return stood.kill_backend()
    return stood.kill("replica", all_of_them=what == "every replica")


def keeps_answering(
    stood: Stand, settings: Settings, requests: list[dict[str, Any]], *, clients: int, only: tuple[str, ...], times: int
) -> list[EventReport]:
    """Change and kill one thing after the other under constant load by clients that never ask again."""
    made, book = changes(settings), Book("prod", settings.prod_url)
    questions = Questions(requests, clients=clients, hour=11)
    with Clients(lambda: settings.http_port, PATH, questions, count=clients, patient=False) as asking:
        happened = []
        for event in events(stood, made, replicas=REPLICAS):
            if only and event.name not in only:
                continue
            for _ in range(times):
                happened.append(event.run(asking, book))
                click.echo(happened[-1].line(), err=True)
    return happened


@click.command(epilog="Example: python -m benchmarks.chaos.serve --answers 2000 --minutes 2")
@click.option("--answers", default=20_000, show_default=True, help="Least answers while parts are killed.")
@click.option("--clients", default=12, show_default=True, help="Clients that ask at once.")
@click.option("--minutes", default=10.0, show_default=True, help="Most minutes of killing.")
@click.option("--part", type=click.Choice(["both", "durability", "answering"]), default="both", show_default=True)
@click.option("--event", "only", multiple=True, help="Only these events, by name.")
@click.option("--times", default=1, show_default=True, help="How often each of --event happens.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@serve_home.keep
def main(
    *,
    answers: int,
    clients: int,
    minutes: float,
    part: str,
    only: tuple[str, ...],
    times: int,
    as_json: bool,
    home: Path | None,
) -> None:
    """Kill and change the parts of a service made for it; ends with 1 if an answer was lost or a request failed.

    Only processes that this program started are killed. It listens on loopback alone.
    """
    report: dict[str, Any] = {}
    with serve_home.home(home) as settings, stand(settings, REPLICAS) as stood:
        requests = serve_home.requests(settings, REQUESTS)
        if part != "answering":
            report["durability"] = durability(stood, requests, answers=answers, clients=clients, minutes=minutes)
            click.echo(f"durability: {report['durability']}", err=True)
        if part != "durability":
            happened = keeps_answering(
                stood, settings, requests, clients=clients, only=only, times=times if only else 1
            )
            report["answering"] = happened
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
    if _bad(report):
        raise SystemExit(1)


def _bad(report: dict[str, Any]) -> bool:
    journal = report.get("durability", {})
    lost_any = any(journal.get(name) for name in ("lost", "journaled otherwise", "duplicates"))
    return lost_any or not all(one.good for one in report.get("answering", ()))


if __name__ == "__main__":
    main()
