"""What happens to a service while it is asked: changes that nobody may notice, and kills that few may."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from benchmarks.service.changes import Changes
from benchmarks.service.clients import Clients, lost
from benchmarks.service.stand import Stand
from penstock.postgres.book import Book

CALM_SECONDS = 2.0
HELD = 50
"""Requests that a killed HAProxy may have held: one or two of each client."""
AWAY_SECONDS = 20.0
REFUSED_WITHIN, BACK_WITHIN = 1.0, 2.0


class EventReport(msgspec.Struct, frozen=True):
    """One event as the clients saw it. `allowed` is how many requests may get no answer, beside refusals `expected` of
    it, `wrong` how many answers the journal has not, or has otherwise, or twice. What was away and came back has
    `recovered_s`, until the first answer."""

    name: str
    seconds: float
    answers: int
    troubles: Mapping[str, int]
    allowed: int
    longest_pause_s: float
    expected: tuple[str, ...] = ()
    wrong: int = 0
    slowest_refusal_s: float = 0.0
    recovered_s: float | None = None

    @property
    def good(self) -> bool:
        """Whether the service did what it promises."""
        unexpected = sum(count for name, count in self.troubles.items() if name not in self.expected)
        in_time = not self.expected or self.slowest_refusal_s <= REFUSED_WITHIN
        return unexpected <= self.allowed and not self.wrong and in_time and (self.recovered_s or 0.0) <= BACK_WITHIN

    def line(self) -> str:
        """The event as one line of a report."""
        failed = sum(self.troubles.values())
        kinds = ", ".join(f"{count} {name}" for name, count in self.troubles.items())
        refused = f", slowest refusal {self.slowest_refusal_s:.2f} s" if self.slowest_refusal_s else ""
        back = f", back after {self.recovered_s:.2f} s" if self.recovered_s is not None else ""
        return (
            f"{self.name:<34} {self.seconds:>6.1f} s {self.answers:>7,} answered {failed:>5} not"
            f"{f' ({kinds})' if kinds else '':<30} longest pause {self.longest_pause_s:>6.2f} s"
            f"{refused}{back}, {self.wrong} wrong{'' if self.good else '  NOT AS PROMISED'}"
        )


@dataclass(frozen=True)
class Event:
    """Something to do under load. What it takes away for a while it gives back at the moment that `act` gives."""

    name: str
    act: Callable[[], object]
    allowed: int = 0
    expected: tuple[str, ...] = ()

    def run(self, clients: Clients, book: Book) -> EventReport:
        """Do it between two calm moments, and say what the clients saw from the first to the last."""
        clients.fresh()
        began, since = time.monotonic(), datetime.now(UTC)
        time.sleep(CALM_SECONDS)
        back = self.act()
        time.sleep(CALM_SECONDS)
        seen = clients.fresh()
        found = lost(book, seen.given, since=since)
        return EventReport(
            self.name,
            time.monotonic() - began,
            len(seen.given),
            dict(seen.troubles),
            self.allowed,
            seen.longest_pause(),
            self.expected,
            sum(count for name, count in found.items() if name != "answers"),
            seen.slowest_refusal,
            seen.recovered_after(back) if isinstance(back, float) else None,
        )


def events(stood: Stand, made: Changes, *, replicas: int) -> Iterator[Event]:
    """All events, in an order in which each leaves the service whole for the next."""
    yield Event("nothing", lambda: time.sleep(CALM_SECONDS))
    yield Event("release switch", made.release)
    yield Event("rollback", made.roll_back)
    for table in made.contents:
        yield Event(f"publish of {table}", lambda table=table: made.publish(table))  # type: ignore[misc]
    yield Event("one more replica", lambda: _scale(stood, replicas + 1))
    yield Event("one replica fewer", lambda: _scale(stood, replicas))
    yield Event("rolling deploy", lambda: _roll(stood, replicas))
    yield Event("one replica killed", lambda: _kill_one(stood, replicas))
    yield Event("Serve controller killed", lambda: _kill_controller(stood, replicas))
    away = f"Postgres stopped for {AWAY_SECONDS:.0f} s"
    yield Event(away, lambda: _stop_postgres(stood), expected=("503 book-away",))
    yield Event("HAProxy killed", lambda: _kill_haproxy(stood, replicas), allowed=HELD)


def _scale(stood: Stand, replicas: int) -> None:
    stood.configure(replicas)
    stood.wait_for_replicas(replicas)


def _roll(stood: Stand, replicas: int) -> None:
    before = {process.pid for process in stood.processes("replica")}
    stood.configure(replicas, {"ray_actor_options": {"num_cpus": 0.4}})
    stood.wait_for_replicas(replicas)
    assert not before & {process.pid for process in stood.processes("replica")}


def _kill_one(stood: Stand, replicas: int) -> None:
    stood.kill("replica")
    time.sleep(CALM_SECONDS)
    stood.wait_for_replicas(replicas)


def _kill_controller(stood: Stand, replicas: int) -> None:
    stood.kill("controller")
    time.sleep(CALM_SECONDS)
    while not stood.processes("controller"):
        time.sleep(0.2)
    stood.wait_for_replicas(replicas)


def _stop_postgres(stood: Stand) -> float:
    """Stop it and start it again; gives the moment at which it takes connections. No replica starts anew for it."""
    before = {process.pid for process in stood.processes("replica")}
    stood.stop_postgres()
    time.sleep(AWAY_SECONDS)
    stood.start_postgres()
    back = time.monotonic()
    time.sleep(CALM_SECONDS)
    assert before == {process.pid for process in stood.processes("replica")}
    return back


def _kill_haproxy(stood: Stand, replicas: int) -> None:
    stood.kill("HAProxy", all_of_them=True)
    time.sleep(CALM_SECONDS)
    stood.wait_for_replicas(replicas)
