"""The runs that `penstock up` launches in Dagster: which are needed, and how each is followed to its end."""

import time
from collections.abc import Callable
from typing import Any

from penstock.cli.system.dagster_graphql import PLAN, RUN, DagsterError, GraphQL
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


def missing_jobs(prod: Book, tables_of: dict[str, list[str]]) -> list[str]:
    """The jobs that make what PROD lacks to answer for the models; `tables_of` maps a model to its tables.

    If a model has neither a release nor all tables, one job makes everything; else only what is missing is made.
    """
    with prod.connect() as connection:
        tables = pointers(connection)
    models = current_releases(prod)
    jobs: list[str] = []
    for model, needed in tables_of.items():
        absent = [table for table in needed if table not in tables]
        if model in models:
            jobs += [f"replicate_{table}" for table in absent]
        else:
            jobs.append(f"everything_for_{model}" if absent else f"train_{model}")
    return list(dict.fromkeys(jobs))


def materialize(api: GraphQL, job: str, progress: Progress, newest: str = LAST) -> str:
    """Run a job to its end, for its newest partition that is not after `newest`, and return the run's URL.

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
    run = api.launch(job, partitions[-1] if partitions else "")
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
