"""`penstock up`: everything running, up to the first answered prediction."""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import click
from rich.console import Console

from penstock.cli.steps import Step, Steps
from penstock.cli.system.background import in_background
from penstock.errors import PenstockError, demand_none
from penstock.file_lock import file_lock
from penstock.project import NO_MODEL
from penstock.quantity import counted
from penstock.settings import API_KEY

if TYPE_CHECKING:
    from penstock.cli.system.dagster_system import DagsterSystem
    from penstock.cli.system.first_prediction import FirstPrediction
    from penstock.runtime import Runtime
    from penstock.serving.deploying.deploy import Rollout

SHOWN = 3
"""First predictions that are printed in full."""
SIDE_BY_SIDE = 8
"""First predictions that are asked at the same time."""
MOST_RUNS = 4
"""Runs at the same time, where the machine has a core for each: as many as dagster.yaml admits."""


@click.command(epilog="Example: PENSTOCK_HTTP_PORT=8001 penstock up")
@click.option("--key", envvar=API_KEY, default="", help="API key, or PENSTOCK_API_KEY, if keys are set up.")
def up(key: str) -> None:
    """Start what does not run yet, materialize what the first prediction needs, and ask one prediction.

    Run again, it does only what is missing. Everything keeps running until `penstock down`. With PENSTOCK_BOOK=dev the
    service is that of the dev book, see `penstock serve --help`.
    """
    from penstock.cli.system.ports import choose_ports
    from penstock.cli.system.preconditions import Preconditions
    from penstock.runtime import Runtime
    from penstock.settings import load

    settings, console = load(), Console(highlight=False)
    needs = Preconditions(settings)
    needs.demand([needs.home])
    alone = file_lock(settings.state / "up.lock", "another `penstock up`", say=console.print)
    with alone, Steps(console) as steps, ExitStack() as held:
        try:
            with steps.step("Settings") as step:
                needs.demand_to_start()
                step.done = "what they name answers"
            with steps.step("Ports") as step:
                settings = choose_ports(settings, held)
                step.done = f"HTTP {settings.http_port}, Dagster {settings.dagster_port}"
            predictions, faults = bring_up(Runtime(settings), steps, key)
        except KeyboardInterrupt:
            console.print(
                "Interrupted. What has started keeps running: `penstock up` goes on, `penstock down` ends it."
            )
            raise
    for first in predictions[:SHOWN]:
        click.echo(f"\n{first.model} answered:\n{first.pretty()}\n\nAsk it yourself:\n{first.curl}")
    if len(predictions) > SHOWN:
        click.echo(
            f"\n{counted(len(predictions) - SHOWN, 'more model')} answered: penstock requests MODEL | penstock predict"
            " MODEL"
        )
    if not predictions and not faults:
        click.echo(f"\n{NO_MODEL}")
    click.echo(
        f"\nService   {settings.service_url}/"
        f"\nDagster   http://127.0.0.1:{settings.dagster_port}/"
        f"\nLogs      {settings.home / 'logs'}\n\n`penstock status` shows the parts, `penstock down` stops them."
    )
    demand_none(list(faults.values()))


def bring_up(runtime: "Runtime", steps: Steps, key: str) -> "tuple[list[FirstPrediction], dict[str, PenstockError]]":
    """Run all steps, at once those that do not need each other.

    Returns a `FirstPrediction` for each model that answers, and model or job -> why not for the others.
    """
    from penstock.cli.system.dagster_system import DagsterSystem
    from penstock.declare.discovery import declared
    from penstock.postgres.databases import Databases
    from penstock.postgres.migrations import newest
    from penstock.releases.former import adopt

    settings = runtime.settings
    # What starts next would fail of a file that does not import.
    everything = in_background(lambda: declared(settings.project).whole())
    with steps.step("Postgres") as step:
        databases = Databases(settings)
        was_running = databases.is_embedded() and databases.is_running()
        applied = [book.migrate(say=step.show) for book in databases.books()]
        for book in databases.books():
            adopt(book, runtime.contracts.by_model.values())
        current = was_running and not any(applied)
        step.done = "already running" if current else f"books TEST and PROD are at version {newest()}"
    everything.result()
    warehouse = in_background(lambda: _warehouse(runtime, steps))
    dagster = in_background(lambda: _dagster(DagsterSystem(settings), steps))
    service = in_background(lambda: _service(runtime, steps))
    warehouse.result()
    dagster.result()
    faults = _materialize(runtime, steps)
    service.result()
    return _predict(runtime, steps, key, faults), faults


def _warehouse(runtime: "Runtime", steps: Steps) -> None:
    from penstock.importing import import_module
    from penstock.warehouse.url import shown

    settings, project = runtime.settings, runtime.settings.demand_project()
    with steps.step("Warehouse") as step:
        if not project.seed:
            step.done = shown(settings.warehouse_url) if settings.warehouse_url else str(settings.warehouse_file)
            return
        step.show(f"filled by {project.seed} where it is empty")
        step.done = import_module(project, project.seed).ensure(settings)


def _dagster(system: "DagsterSystem", steps: Steps) -> None:
    with steps.step("Dagster") as step:
        step.show("code server, webserver, daemon")
        started = system.start()
        said = {"started": system.url, "read again": "read the project's changed files again"}
        step.done = said.get(started, "already running")


def _service(runtime: "Runtime", steps: Steps) -> None:
    from penstock.cli.system.dev_service import DevService
    from penstock.cli.system.first_prediction import is_ready
    from penstock.serving.deploying.deploy import Rollout
    from penstock.serving.on_ray.cluster import RayCluster

    settings = runtime.settings
    dev, cluster = DevService(settings), RayCluster(settings)
    if settings.book == "dev":
        with steps.step("Dev service") as step:
            step.done = dev.start()
        return
    dev.demand_none()
    with steps.step("Ray Serve") as step:
        if cluster.find_as_set() and is_ready(settings.service_url, settings.project):
            rollout = Rollout(settings)
            step.done = "already running" if rollout.is_current() else _deploy_changes(rollout, steps, step)
            return
        step.show("head node")
        cluster.start()
        step.show("HAProxy and replicas")
        for warning in Rollout(settings).deploy().warnings:
            steps.console.print(warning, style="yellow", markup=False)
        step.done = settings.service_url


def _deploy_changes(rollout: "Rollout", steps: Steps, step: Step) -> str:
    """Bring changed files onto the service that runs. Where they cannot serve, it goes on with those that it has."""
    from penstock.cli.commands.deploy import told
    from penstock.serving.deploying.deploy import DeployError

    step.show("deploying what changed in the project")
    try:
        return told(rollout.deploy())
    except DeployError as error:
        steps.console.print(str(error), style="yellow", markup=False)
        return "already running, without what changed in the project"


def _materialize(runtime: "Runtime", steps: Steps) -> dict[str, PenstockError]:
    """Make what is missing; model or job -> the fault of what could not be made. One model stops no other."""
    from penstock.cli.system import dagster_runs
    from penstock.cli.system.dagster_system import DagsterSystem
    from penstock.extract.newest_rows import newest_period
    from penstock.releases.ledger import current_releases

    found = runtime.declared
    needed = {name: sorted({one.table for one in model.contract.lookups}) for name, model in found.models.items()}
    api, faults, made = DagsterSystem(runtime.settings).graphql, dict[str, PenstockError](), False
    places = threading.Semaphore(min(MOST_RUNS, os.cpu_count() or 1))

    def make(missing: dagster_runs.MissingRun) -> None:
        job, name, tables = missing
        with places, noted(faults, name or job), steps.step("Materialization") as step:
            model, step.done = found.models.get(name), job
            if name in current_releases(runtime.books.prod):
                step.done = f"{name} was released meanwhile"
                return
            until = (
                newest_period(model, runtime.warehouse, runtime.settings.now()).first_day
                if model
                else dagster_runs.LAST
            )
            only = [table for group in found.groups() if {t.name for t in group} & set(tables) for table in group]
            step.done = f"{job}: {dagster_runs.materialize(api, job, step.show, until, only, found.preparations)}"

    for together in dagster_runs.missing_runs(runtime.books.prod, needed):
        made = True
        for run in [in_background(partial(make, missing)) for missing in together]:
            run.result()
    if not made:
        with steps.step("Materialization") as step:
            step.done = "nothing is missing"
    return faults


def _predict(runtime: "Runtime", steps: Steps, key: str, faults: dict[str, PenstockError]) -> "list[FirstPrediction]":
    """The first prediction of each model, asked side by side. One model that does not answer stops no other."""
    from penstock.cli.system.first_prediction import FirstPrediction, ask, first_request

    settings = runtime.settings
    made, places = dict[str, FirstPrediction](), threading.Semaphore(SIDE_BY_SIDE)

    def predict(name: str) -> None:
        with places, noted(faults, name), steps.step("First prediction") as step:
            step.show("waiting for the service")
            request = first_request(runtime.declared.models[name], runtime.warehouse, settings.now())
            made[name] = ask(settings.service_url, name, request, settings.home / "logs", key)
            step.done = f"{name} answered in {made[name].milliseconds:.0f} ms"

    names = [name for name in runtime.declared.models if name not in faults]
    for asked in [in_background(partial(predict, name)) for name in names]:
        asked.result()
    return [made[name] for name in names if name in made]


@contextmanager
def noted(faults: dict[str, PenstockError], name: str) -> Iterator[None]:
    """Note why a model or job failed, and go on with the others."""
    try:
        yield
    except PenstockError as error:
        faults[name] = error
