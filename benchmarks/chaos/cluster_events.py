"""What happens to a cluster under load: to its nodes, their entries, and the Postgres of its books.

Each event begins and ends with a whole service.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.chaos.cluster_stand import ClusterStand
from benchmarks.chaos.faulty_store import Fault
from benchmarks.chaos.nodes import Node
from benchmarks.chaos.pulses import slowed

NOTHING_SECONDS = 2.0
CUT_OFF_SECONDS = 40.0
POSTGRES_AWAY_SECONDS = 10.0
SLOWED_SECONDS = 20.0
STILL_SECONDS, GOES_SECONDS = 0.2, 0.2
"""A slowed Postgres stands still for half of the time."""
DRAINED_SECONDS, MOVED_SECONDS = 30.0, 120.0
"""How long a node has that goes: Serve ends its replica 20 s before, or when another node has one instead."""
STORE_FAULTY_SECONDS = 30.0
"""How long the store is faulty after a replica that needs it has started."""
FAULTS: tuple[Fault, ...] = ("slow", "failing", "breaking off")
BOOK_AWAY = ("503 book-away",)


@dataclass(frozen=True)
class ClusterEvent:
    """`hit` are the nodes whose entries it hits. `expected` are the refusals that it may cause. `act` may return the
    moment at which what was away is there again."""

    name: str
    hit: tuple[Node, ...]
    act: Callable[[], object]
    expected: tuple[str, ...] = ()


def events(stood: ClusterStand, away: float) -> Iterator[ClusterEvent]:
    """All events, in their order, each of the nodes that the cluster then has."""
    head, worker = stood.head, stood.nodes[-1]
    yield ClusterEvent("nothing", (), lambda: time.sleep(NOTHING_SECONDS))
    yield ClusterEvent("HAProxy killed", (worker,), lambda: _kill_haproxy(worker))
    yield ClusterEvent("worker killed", (worker,), lambda: _kill(stood, worker, NOTHING_SECONDS))
    yield ClusterEvent("worker cut off the network", (worker,), lambda: _cut_off(stood, worker))
    yield ClusterEvent("worker drained", (worker,), lambda: _drain(stood, worker))
    yield ClusterEvent(f"head killed, away {away:.0f} s", (head,), lambda: _kill(stood, head, away))
    yield ClusterEvent("head replaced", (head,), lambda: _kill(stood, head, NOTHING_SECONDS, replaced=True))
    for number in range(1, len(stood.nodes)):
        node = stood.nodes[number]
        yield ClusterEvent(f"worker {number} replaced", (node,), lambda node=node: _replace(stood, node))  # type: ignore[misc]
    worker = stood.nodes[-1]
    for fault in FAULTS:
        yield ClusterEvent(f"store {fault}", (worker,), lambda fault=fault: _fault_store(stood, worker, fault))  # type: ignore[misc]
    yield ClusterEvent("Postgres slowed", (), lambda: _slow_postgres(stood))
    yield ClusterEvent("Postgres cut off the network", (), lambda: _cut_postgres_off(stood), BOOK_AWAY)
    yield ClusterEvent("Postgres restarted", (), lambda: _restart_postgres(stood), BOOK_AWAY)


def _kill_haproxy(node: Node) -> None:
    for process in node.named("/bin/haproxy "):
        process.kill()
    time.sleep(3 * NOTHING_SECONDS)


def _kill(stood: ClusterStand, node: Node, away: float, *, replaced: bool = False) -> None:
    """Kill everything of a node, and start it again; `replaced`, without any file that it had of its own."""
    node.kill()
    time.sleep(away)
    if replaced:
        _forget(node)
    stood.start(node)


def _cut_off(stood: ClusterStand, node: Node) -> None:
    node.cut_off()
    time.sleep(CUT_OFF_SECONDS)
    node.kill()
    node.connect()
    stood.start(node)


def _drain(stood: ClusterStand, node: Node) -> None:
    """Take a node away in good order, while no other one can take its replica, and bring it back."""
    stood.drain(node, DRAINED_SECONDS)
    node.kill()
    stood.start(node)


def _replace(stood: ClusterStand, node: Node) -> None:
    """Let the spare node take a node's place. What is left of that one is the spare node of the next time."""
    stood.start(stood.spare)
    stood.drain(node, MOVED_SECONDS)
    node.kill()
    _forget(node)
    stood.nodes, stood.spare = tuple(stood.spare if one is node else one for one in stood.nodes), node


def _forget(node: Node) -> None:
    shutil.rmtree(node.folder / "home", ignore_errors=True)
    for path in (node.folder / "ray").iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _fault_store(stood: ClusterStand, node: Node, fault: Fault) -> None:
    """Let a new node, which has no artifact yet, take a worker's place while the store is slow or fails."""
    assert stood.store is not None
    with stood.store.faulty(fault):
        _kill(stood, node, NOTHING_SECONDS, replaced=True)
        time.sleep(STORE_FAULTY_SECONDS)


def _slow_postgres(stood: ClusterStand) -> None:
    with slowed(stood.postgres.sessions, still=STILL_SECONDS, goes=GOES_SECONDS):
        time.sleep(SLOWED_SECONDS)


def _cut_postgres_off(stood: ClusterStand) -> float:
    stood.postgres.node.cut_off()
    time.sleep(POSTGRES_AWAY_SECONDS)
    stood.postgres.node.connect()
    return time.monotonic()


def _restart_postgres(stood: ClusterStand) -> float:
    stood.postgres.stop()
    stood.postgres.start()
    return time.monotonic()
