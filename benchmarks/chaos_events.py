"""What happens to a service while it is asked: changes that nobody may notice, and kills that few may."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from benchmarks.serve_changes import Changes
from benchmarks.serve_clients import Clients
from benchmarks.serve_stand import Stand

CALM_SECONDS = 2.0
MANY = 1_000_000


class Happened(msgspec.Struct, frozen=True):
    """One event as the clients saw it. `allowed` is how many requests may get no answer."""

    name: str
    seconds: float
    answers: int
    troubles: Mapping[str, int]
    allowed: int
    longest_pause_s: float

    def line(self) -> str:
        """The event as one line of a report."""
        failed = sum(self.troubles.values())
        kinds = ", ".join(f"{count} {name}" for name, count in self.troubles.items())
        return (
            f"{self.name:<34} {self.seconds:>6.1f} s {self.answers:>7,} answered {failed:>5} not"
            f"{f' ({kinds})' if kinds else '':<30} longest pause {self.longest_pause_s:>6.2f} s"
        )


@dataclass(frozen=True)
class Event:
    """Something to do under load."""

    name: str
    act: Callable[[], object]
    allowed: int = 0

    def run(self, clients: Clients) -> Happened:
        """Do it between two calm moments, and say what the clients saw from the first to the last."""
        clients.fresh()
        began = time.monotonic()
        time.sleep(CALM_SECONDS)
        self.act()
        time.sleep(CALM_SECONDS)
        seen = clients.fresh()
        return Happened(
            self.name,
            time.monotonic() - began,
            len(seen.given),
            dict(seen.troubles),
            self.allowed,
            seen.longest_pause(),
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
    yield Event("HAProxy killed", lambda: _kill_haproxy(stood, replicas), allowed=MANY)


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


def _kill_haproxy(stood: Stand, replicas: int) -> None:
    stood.kill("HAProxy", all_of_them=True)
    time.sleep(CALM_SECONDS)
    stood.wait_for_replicas(replicas)
