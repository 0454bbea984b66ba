"""Deploys under a constant load: changed code, arguments, numbers and resources, failed ones, and the way back."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import msgspec
import yaml

from benchmarks import ROOT
from benchmarks.chaos.events import CALM_SECONDS, Event, EventReport
from benchmarks.chaos.serve import PATH, REQUESTS, Questions
from benchmarks.service import home as serve_home
from benchmarks.service.clients import Clients
from benchmarks.service.stand import Stand, stand
from penstock.postgres.book import Book
from penstock.project import containing
from penstock.serving.deploying.code_copy import keep
from penstock.serving.deploying.deploy import DeployError, Rollout
from penstock.settings import Settings

UNABLE = """
from ray import serve

class Unable(Predictions.func_or_class):
    async def __init__(self, book: str) -> None:
        raise RuntimeError("no way to start")

def build(args: dict) -> object:
    return serve.deployment(name="Predictions")(Unable).bind("prod")
"""
APPLICATION = "from penstock.serving.deployment import Predictions, build\n"


@dataclass
class Project:
    """A copy of the example's project beside a running service: what a team edits before it deploys."""

    root: Path
    stood: Stand
    replicas: int
    arguments: dict[str, str] = field(default_factory=lambda: {"book": "prod"})
    options: dict[str, Any] = field(default_factory=dict)
    changes: int = 0

    def write(self, application: str = APPLICATION) -> None:
        """Write the deployment and the configuration."""
        (self.root / "serve_app" / "deployment.py").write_text(f'"""Change {self.changes}."""\n\n{application}')
        config = yaml.safe_load((ROOT / "serve_app" / "serve_config.yaml").read_text())
        application_config = config["applications"][0]
        application_config["args"] = self.arguments
        made = application_config["deployments"][0]
        made["autoscaling_config"] |= {"min_replicas": self.replicas, "max_replicas": self.replicas}
        made |= self.options
        (self.root / "serve_app" / "serve_config.yaml").write_text(yaml.safe_dump(config))

    def deploy(self, *, application: str = APPLICATION, broken: bool = False) -> None:
        """Deploy what is written, and wait until only its replicas run; where it must fail, that it does."""
        self.write(application)
        settings = msgspec.structs.replace(self.stood.settings, project=containing(self.root))
        if broken or application != APPLICATION:
            file = self.root / "model_tools" / "flight_delay.py"
            text = file.read_text()
            file.write_text(text + "\nmissing\n" if broken else text)
            try:
                Rollout(settings).deploy()
            except DeployError as error:
                click.echo("    " + str(error).replace("\n", "\n    "), err=True)
            else:
                raise AssertionError("it was deployed")
            finally:
                file.write_text(text)
        else:
            Rollout(settings).deploy()
        self.stood.wait_for_replicas(self.replicas)

    def back(self) -> None:
        """Go back one deploy."""
        Rollout(msgspec.structs.replace(self.stood.settings, project=containing(self.root))).go_back()
        self.stood.wait_for_replicas(self.replicas)

    def change_code(self) -> None:
        """Deploy code that differs."""
        self.changes += 1
        self.deploy()

    def set(self, *, arguments: Mapping[str, str] | None = None, **options: Any) -> None:
        """Deploy with other arguments or options."""
        self.arguments = self.arguments if arguments is None else dict(arguments)
        self.options |= options
        self.deploy()


def events(project: Project) -> Iterator[Event]:
    """All deploys, each from what the one before has left."""
    many = project.replicas

    def scaled(replicas: int) -> Callable[[], None]:
        def scale() -> None:
            project.replicas = replicas
            project.deploy()

        return scale

    yield Event("nothing", lambda: time.sleep(CALM_SECONDS))
    arguments = {} if project.arguments else {"book": "prod"}  # which say the same
    yield Event("changed args", lambda: project.set(arguments=arguments))
    yield Event("changed limit", lambda: project.set(max_ongoing_requests=256))
    yield Event("changed resources", lambda: project.set(ray_actor_options={"num_cpus": 0.2}))
    yield Event("one more replica", scaled(many + 1))
    yield Event("one replica fewer", scaled(many))
    yield Event("changed code", project.change_code)
    yield Event("a file that does not import", lambda: project.deploy(broken=True))
    yield Event("a replica that does not start", lambda: project.deploy(application=APPLICATION + UNABLE))
    yield Event("back", project.back)
    if many > 1:
        yield Event("one replica killed", lambda: _kill(project))


def _kill(project: Project) -> None:
    project.stood.kill("replica")
    time.sleep(CALM_SECONDS)
    project.stood.wait_for_replicas(project.replicas)


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
    with serve_home.home(home) as settings:
        requests = serve_home.requests(settings, REQUESTS)
        for many in replicas:
            with stand(settings, many) as stood:
                code = keep(settings.demand_project(), settings.home / "project", settings.home)
                project = Project(Path(code.folder), stood, many)
                for rate in rates:
                    name = f"{many} replicas, {rate:g}/s"
                    click.echo(name, err=True)
                    report[name] = _happened(settings, project, requests, rate, clients, only, times)
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
    if not all(one.good for happened in report.values() for one in happened):
        raise SystemExit(1)


def _happened(
    settings: Settings,
    project: Project,
    requests: list[dict[str, Any]],
    rate: float,
    clients: int,
    only: tuple[str, ...],
    times: int,
) -> list[EventReport]:
    questions, book = Questions(requests, clients=clients, hour=9), Book("prod", settings.prod_url)
    port = settings.http_port
    happened = []
    with Clients(lambda: port, PATH, questions, count=clients, patient=False, rate=rate) as asking:
        for event in events(project):
            for _ in range(times if not only or event.name in only else 0):
                happened.append(event.run(asking, book))
                click.echo(happened[-1].line(), err=True)
    return happened


if __name__ == "__main__":
    main()
