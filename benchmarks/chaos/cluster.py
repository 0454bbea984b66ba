"""A service on three nodes under load while nodes, HAProxies and Postgres are killed, cut off, drained and replaced."""

import tempfile
import time
from contextlib import ExitStack
from itertools import chain
from pathlib import Path

import click
import msgspec

from benchmarks.chaos.cluster_deploys import deploys, project_of
from benchmarks.chaos.cluster_events import events
from benchmarks.chaos.cluster_report import ClusterReport, happened, summary
from benchmarks.chaos.cluster_stand import HEADERS, cluster_stand
from benchmarks.chaos.nodes import hindrance
from benchmarks.chaos.serve import PATH, REQUESTS, Questions
from benchmarks.service import home as serve_home
from benchmarks.service.clients import Clients
from penstock.postgres.book import Book

CLIENTS = 4
"""Clients of each node's HAProxy."""


@click.command(epilog='Example: python -m benchmarks.chaos.cluster --event "worker killed" --times 3')
@click.option("--nodes", "count", default=3, show_default=True, help="How many nodes.")
@click.option("--replicas", default=3, show_default=True, help="How many replicas on them.")
@click.option(
    "--per-node",
    default=1,
    show_default=True,
    help="Most replicas of a node; with 1, each has an entry; with more, there is room to deploy under load too.",
)
@click.option("--rate", default=150.0, show_default=True, help="Requests a second, all clients together; 0: no limit.")
@click.option("--away", default=60.0, show_default=True, help="Seconds that the head is away.")
@click.option("--event", "only", multiple=True, help="Only events whose name begins so.")
@click.option("--times", default=1, show_default=True, help="How often each event happens.")
@click.option("--requests", "least", default=0, show_default=True, help="Go on until so many were answered.")
@click.option("--minutes", default=30.0, show_default=True, help="Begin no event after so many minutes.")
@click.option("--record", type=click.Path(path_type=Path), help="Add each report to this file, and sum up all of it.")
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
    least: int,
    minutes: float,
    record: Path | None,
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
        asking = {}
        entries, project = (*stood.nodes, stood.spare), project_of(stood)
        questions = Questions(requests, clients=len(entries) * CLIENTS, hour=8)
        for number, node in enumerate(entries):
            first = number * CLIENTS
            asking[node.address] = stack.enter_context(
                Clients(
                    lambda: 8000,
                    PATH,
                    lambda client, n, first=first: questions(first + client, n),  # type: ignore[misc]
                    count=CLIENTS,
                    patient=False,
                    rate=rate / len(entries) or None,
                    host=node.address,
                    headers=HEADERS,
                )
            )
        while times > 0 or sum(report.answers for report in reports) < least:
            times -= 1
            before = len(reports)
            rolled = deploys(project, stood, asking.values()) if per_node > 1 else ()
            for event in chain(events(stood, away), rolled):
                if (not only or event.name.startswith(only)) and time.monotonic() < end:
                    reports.append(happened(stood, event, asking, book))
                    click.echo(reports[-1].line(), err=True)
                    if record:
                        with record.open("ab") as file:
                            file.write(msgspec.json.encode(reports[-1]) + b"\n")
            if len(reports) == before:
                break
    if not reports:
        raise click.UsageError(f"no event begins with {', '.join(only)}, or none could begin in {minutes:g} minutes")
    if record:
        reports = msgspec.json.decode(b"[%s]" % b",".join(record.read_bytes().splitlines()), type=list[ClusterReport])
    click.echo(msgspec.json.encode(reports).decode() if as_json else summary(reports))
    if not all(one.good for one in reports):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
