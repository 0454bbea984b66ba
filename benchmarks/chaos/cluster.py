"""A service on three nodes under load while nodes, the head and HAProxies are killed, cut off, drained and replaced."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from benchmarks.chaos.cluster_stand import HEADERS, ClusterStand, cluster_stand
from benchmarks.chaos.nodes import Node, hindrance
from benchmarks.chaos.serve import PATH, REQUESTS, Questions
from benchmarks.service import home as serve_home
from benchmarks.service.clients import Answers, Clients, lost, merge
from penstock.postgres.book import Book

CALM_SECONDS = 2.0
CUT_OFF_SECONDS = 40.0
CLIENTS = 4
"""Clients of each node's HAProxy."""


class ClusterReport(msgspec.Struct, frozen=True):
    """One event as the clients saw it: those of the entries that survive it, and those of the others."""

    name: str
    seconds: float
    answers: int
    failed: dict[str, int]
    failed_elsewhere: dict[str, int]
    longest_pause_s: float
    lost: int
    otherwise: int
    double: int

    @property
    def good(self) -> bool:
        """Whether nothing failed through a surviving entry, and the journal has every answer once."""
        return not self.failed and not self.lost and not self.otherwise and not self.double

    def line(self) -> str:
        """The event as one line of a report."""
        elsewhere = sum(self.failed_elsewhere.values())
        return (
            f"{self.name:<30} {self.seconds:>6.1f} s {self.answers:>7,} answered, through a surviving entry"
            f" {sum(self.failed.values())} failed {self.failed or ''} longest pause {self.longest_pause_s:.2f} s;"
            f" through the others {elsewhere}"
            f" failed; {self.lost} lost, {self.otherwise} otherwise, {self.double} double"
            f"{'' if self.good else '  NOT AS PROMISED'}"
        )


Act = Callable[[], object]


def events(stood: ClusterStand, away: float) -> Iterator[tuple[str, tuple[Node, ...], Act]]:
    """Name, the nodes whose entries it hits, and what to do, each from a whole service to a whole service."""
    head, worker = stood.head, stood.nodes[-1]
    yield "nothing", (), lambda: time.sleep(CALM_SECONDS)
    yield "HAProxy killed", (worker,), lambda: _kill_haproxy(worker)
    yield "worker killed", (worker,), lambda: _kill(stood, worker, CALM_SECONDS)
    yield "worker cut off the network", (worker,), lambda: _cut_off(stood, worker)
    yield "worker drained", (worker,), lambda: _replace(stood, worker)
    yield f"head killed, away {away:.0f} s", (head,), lambda: _kill(stood, head, away)
    yield "head replaced", (head,), lambda: _kill(stood, head, CALM_SECONDS, replaced=True)
    for node in stood.nodes[1:]:
        yield f"node {node.address} replaced", (node,), lambda node=node: _replace(stood, node)  # type: ignore[misc]


def _kill_haproxy(node: Node) -> None:
    for process in node.named("/bin/haproxy "):
        process.kill()
    time.sleep(3 * CALM_SECONDS)


def _kill(stood: ClusterStand, node: Node, away: float, *, replaced: bool = False) -> None:
    """Kill everything of a node, and start it again; `replaced`, without any file that it had of its own."""
    node.kill()
    time.sleep(away)
    if replaced:
        shutil.rmtree(node.folder / "home", ignore_errors=True)
        for path in (node.folder / "ray").iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    stood.start(node)


def _cut_off(stood: ClusterStand, node: Node) -> None:
    node.cut_off()
    time.sleep(CUT_OFF_SECONDS)
    node.kill()
    node.connect()
    stood.start(node)


def _replace(stood: ClusterStand, node: Node) -> None:
    stood.drain(node)
    node.kill()
    stood.start(node)


def happened(
    stood: ClusterStand, name: str, hit: tuple[Node, ...], act: Act, asking: dict[str, Clients], book: Book
) -> ClusterReport:
    """Do it between two calm moments, and say what the clients saw from the first to the whole service after it."""
    for clients in asking.values():
        clients.fresh()
    began, since = time.monotonic(), datetime.now(UTC)
    time.sleep(CALM_SECONDS)
    act()
    stood.wait_until_whole()
    time.sleep(CALM_SECONDS)
    seen = {address: clients.fresh() for address, clients in asking.items()}
    away = {node.address for node in hit}
    surviving = [answers for address, answers in seen.items() if address not in away]
    whole = merge(seen.values())
    found = lost(book, whole.given, since=since)
    return ClusterReport(
        name,
        time.monotonic() - began,
        len(whole.given),
        dict(merge(surviving).troubles),
        dict(merge([seen[address] for address in away]).troubles) if away else {},
        max(_longest_pause(answers) for answers in surviving),
        found["lost"],
        found["journaled otherwise"],
        found["duplicates"],
    )


def _longest_pause(answers: Answers) -> float:
    return max(answers.longest_pause(), answers.slowest)


@click.command(epilog='Example: python -m benchmarks.chaos.cluster --event "worker killed" --times 3')
@click.option("--nodes", "count", default=3, show_default=True, help="How many nodes.")
@click.option("--replicas", default=3, show_default=True, help="How many replicas on them.")
@click.option("--per-node", default=1, show_default=True, help="Most replicas of a node; 2 where nodes are drained.")
@click.option("--rate", default=150.0, show_default=True, help="Requests a second, all clients together; 0: no limit.")
@click.option("--away", default=60.0, show_default=True, help="Seconds that the head is away.")
@click.option("--event", "only", multiple=True, help="Only events whose name begins so.")
@click.option("--times", default=1, show_default=True, help="How often each event happens.")
@click.option("--minutes", default=30.0, show_default=True, help="Begin no event after so many minutes.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@serve_home.keep
def main(
    *,
    count: int,
    replicas: int,
    per_node: int,
    rate: float,
    away: float,
    only: tuple[str, ...],
    times: int,
    minutes: float,
    as_json: bool,
    home: Path | None,
) -> None:
    """Kill, cut off, drain and replace nodes; ends with 1 if a request failed through a surviving entry or was lost.

    Needs root, for network namespaces. Only processes in namespaces that this program made are killed.
    """
    if reason := hindrance():
        raise click.ClickException(reason)
    reports: list[ClusterReport] = []
    with serve_home.home(home) as settings, ExitStack() as stack:
        requests = serve_home.requests(settings, REQUESTS)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cluster-", dir=settings.home)))
        stood = stack.enter_context(cluster_stand(settings, folder, count=count, replicas=replicas, per_node=per_node))
        book, end = Book("prod", stood.settings.prod_url), time.monotonic() + minutes * 60
        questions = Questions(requests, clients=count * CLIENTS, hour=8)
        asking = {}
        for number, node in enumerate(stood.nodes):
            first = number * CLIENTS
            asking[node.address] = stack.enter_context(
                Clients(
                    lambda: 8000,
                    PATH,
                    lambda client, n, first=first: questions(first + client, n),  # type: ignore[misc]
                    count=CLIENTS,
                    patient=False,
                    rate=rate / count or None,
                    host=node.address,
                    headers=HEADERS,
                )
            )
        for _ in range(times):
            for name, hit, act in events(stood, away):
                if time.monotonic() < end and (not only or name.startswith(only)):
                    reports.append(happened(stood, name, hit, act, asking, book))
                    click.echo(reports[-1].line(), err=True)
    if as_json:
        click.echo(msgspec.json.encode(reports).decode())
    if not reports or not all(one.good for one in reports):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
