"""The runs that `penstock up` launches in Dagster: which are needed, and how each is followed to its end."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from penstock.cli.system.dagster_graphql import PLAN, RUN, DagsterError, GraphQL
from penstock.declare.preparation import Preparation
from penstock.declare.steps import REPLICATION_JOB, checks, steps
from penstock.declare.table import ReplicatedTable
from penstock.log_text import cause
from penstock.postgres.book import Book
from penstock.postgres.pointer import pointers
from penstock.releases.ledger import current_releases

POLL_SECONDS = 0.5
LAST = "9999"
"""After every partition."""
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}

Progress = Callable[[str, int, int], None]


class RunError(DagsterError):
    """A run ended without success."""


class MissingRun(NamedTuple):
    """A run that makes what is missing: the job of a `model`, or that of all tables for some of them."""

    job: str
    model: str = ""
    tables: tuple[str, ...] = ()


def missing_runs(prod: Book, tables_of: Mapping[str, Sequence[str]]) -> Iterator[list[MissingRun]]:
    """The runs that make what PROD lacks to answer for the models, in lists of those that can run at the same time.

    `tables_of` maps a model to its tables.

    - If a model has neither a release nor all tables, one run makes everything of it; else only what is missing.
    - No two runs make the same table: who lacks one that a run of this list makes is in a later list.
    - What PROD lacks is looked at when a list is asked for: what earlier ones, or somebody by hand, have made is not
      made again.
    """
    released = current_releases(prod)
    absent = _absent(prod, [table for model, tables in tables_of.items() if model in released for table in tables])
    if absent:
        yield [MissingRun(REPLICATION_JOB, tables=tuple(absent))]
    waiting = {model: tables for model, tables in tables_of.items() if model not in released}
    while waiting:
        absent = _absent(prod, [table for tables in waiting.values() for table in tables])
        together, made = list[MissingRun](), set[str]()
        for model in waiting.keys() & current_releases(prod).keys():
            del waiting[model]
        for model, tables in list(waiting.items()):
            lacking = set(tables) & set(absent)
            if not lacking & made:
                together.append(MissingRun(f"everything_for_{model}" if lacking else f"train_{model}", model))
                made |= lacking
                del waiting[model]
        if together:
            yield together


def _absent(prod: Book, tables: Sequence[str]) -> list[str]:
    with prod.connect() as connection:
        found = pointers(connection)
    return [table for table in dict.fromkeys(tables) if table not in found]


def materialize(
    api: GraphQL,
    job: str,
    progress: Progress,
    newest: str = LAST,
    only: Sequence[ReplicatedTable] = (),
    preparations: Mapping[str, Preparation] = {},
) -> str:
    """Run a job to its end, for its newest partition that is not after `newest`, and return the run's URL.

    A run that is under way, as after an `up` that was interrupted, is followed instead.

    `only` are the tables to take of the job of all tables, `preparations` what they may wait for.

    RunError if all its partitions are after `newest`.
    """
    everything = api.partitions(job)
    partitions = [partition for partition in everything if partition <= newest]
    if everything and not partitions:
        raise RunError(
            f"Dagster job {job!r}",
            expected="a period whose outcomes are known",
            found=f"{everything[0]} as its first, and outcomes up to {newest}",
            todo="Declare an earlier `first_period`, or wait for the outcomes.",
        )
    partition, assets = partitions[-1] if partitions else "", steps(only, preparations)
    run = api.launched(job, partition, assets) or api.launch(job, partition, assets, checks(only, preparations))
    follow(api, run, progress)
    return run_url(api, run)


def follow(api: GraphQL, run: str, progress: Progress) -> None:
    """Wait for the end of a run, and report its step and the number of steps; RunError names step, error and URL."""
    plan = api.ask(PLAN, run=run)["runOrError"].get("executionPlan") or {}
    steps = len(plan.get("steps", ()))
    cursor, step, done, failures = None, "waiting for a place in the queue", 0, list[str]()
    trouble = ""  # of Dagster itself, which a run's failure does not repeat
    while True:
        asked = api.ask(RUN, run=run, after=cursor)
        found, log = asked["runOrError"], asked["logsForRun"]
        for event in log.get("events", ()):
            if event["__typename"] == "ExecutionStepStartEvent":
                step = event["stepKey"]
            done += event["__typename"] == "ExecutionStepSuccessEvent"
            if event["__typename"] == "EngineEvent" and event["error"]:
                trouble = _reason(event)
            if event["__typename"] == "ExecutionStepFailureEvent" or (
                event["__typename"] == "RunFailureEvent" and not failures
            ):
                failures.append(_reason(event) if event["error"] else trouble or _reason(event))
        cursor = log.get("cursor", cursor)
        progress(step, done, steps)
        if found["status"] in ENDED and not log.get("hasMore"):
            break
        time.sleep(POLL_SECONDS)
    if found["status"] != "SUCCESS":
        raise RunError(
            f"Dagster run {run[:8]}",
            expected="success",
            found=found["status"].lower() + "".join(f"\n  {failure}" for failure in failures),
            todo=f"See {run_url(api, run)}",
        )


def run_url(api: GraphQL, run: str) -> str:
    """Where the UI shows a run."""
    return f"{api.url}/runs/{run}"


def _reason(event: dict[str, Any]) -> str:
    """The step of a failure event, and its innermost error."""
    error = event["error"]
    if not error:
        return str(event["message"])
    innermost = error["causes"][-1] if error.get("causes") else error
    where = f"step {event['stepKey']}: " if event.get("stepKey") else ""
    return where + cause(str(innermost["message"]))
