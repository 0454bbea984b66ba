"""Deploys under a constant load: changed code, arguments, numbers and keys, failed ones, and the way back."""

import secrets
from pathlib import Path
from typing import Any

import click
import msgspec

from benchmarks.chaos.deploy_events import KEY, events
from benchmarks.chaos.deploy_project import Project, write_keys
from benchmarks.chaos.events import EventReport
from benchmarks.chaos.serve import PATH, REQUESTS, Questions
from benchmarks.service import home as serve_home
from benchmarks.service.clients import Clients
from benchmarks.service.stand import Stand, stand
from penstock.postgres.book import Book
from penstock.serving.deploying.code_copy import keep


@click.command(epilog="Example: python -m benchmarks.chaos.deploy --replicas 1 --rate 20 --rate 500")
@click.option("--replicas", multiple=True, type=int, default=(1, 2, 3), show_default=True, help="How many replicas.")
@click.option("--rate", "rates", multiple=True, type=float, default=(20.0, 500.0), show_default=True, help="A second.")
@click.option("--clients", default=12, show_default=True, help="Clients that ask at once.")
@click.option("--event", "only", multiple=True, help="Only these events, by name.")
@click.option("--times", default=1, show_default=True, help="How often each event happens.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@serve_home.keep
def main(
    *,
    replicas: tuple[int, ...],
    rates: tuple[float, ...],
    clients: int,
    only: tuple[str, ...],
    times: int,
    as_json: bool,
    home: Path | None,
) -> None:
    """Deploy under load by clients that never ask twice; ends with 1 if a request failed or an answer was lost."""
    report: dict[str, list[EventReport]] = {}
    with serve_home.home(home) as made:
        settings, key = msgspec.structs.replace(made, api_keys_file=str(made.home / "api-keys")), secrets.token_hex()
        write_keys(settings, key)
        requests = serve_home.requests(settings, REQUESTS)
        for many in replicas:
            with stand(settings, many, {KEY: key}) as stood:
                code = keep(settings.demand_project(), settings.home / "project", settings.home)
                project = Project(Path(code.folder), stood, many)
                for rate in rates:
                    name = f"{many} replicas, {rate:g}/s"
                    click.echo(name, err=True)
                    report[name] = _happened(stood, project, requests, rate, clients, only, times)
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
    if not all(one.good for happened in report.values() for one in happened):
        raise SystemExit(1)


def _happened(
    stood: Stand,
    project: Project,
    requests: list[dict[str, Any]],
    rate: float,
    clients: int,
    only: tuple[str, ...],
    times: int,
) -> list[EventReport]:
    questions, book = Questions(requests, clients=clients, hour=9), Book("prod", stood.settings.prod_url)
    port = stood.settings.http_port
    happened = []
    headers = stood.headers
    with Clients(lambda: port, PATH, questions, count=clients, patient=False, rate=rate, headers=headers) as asking:
        for event in events(stood, project, asking):
            for _ in range(times if not only or event.name in only else 0):
                happened.append(event.run(asking, book))
                click.echo(happened[-1].line(), err=True)
    return happened


if __name__ == "__main__":
    main()
