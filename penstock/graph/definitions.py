"""The one `Definitions` of a project: everything that its declaration files declare."""

from pathlib import Path
from typing import Any

import dagster as dg

from penstock.declare.discovery import declared
from penstock.declare.project import Declarations
from penstock.graph import (
    journal_upkeep,
    model_retention,
    releasing,
    replication,
    retention,
    standing_checks,
    warehouse,
)
from penstock.graph.code_location import one_sentence
from penstock.graph.dbt import of_dbt
from penstock.graph.environment import Environment
from penstock.graph.executor import executor
from penstock.graph.training import TrainingAssets, trained_on
from penstock.processes import let_waiting_threads_sleep
from penstock.project import containing
from penstock.retention.models import ModelRetention
from penstock.retention.policy import RetentionPolicy
from penstock.settings import warn_of_unknown_variables


def build(definitions: str) -> dg.Definitions:
    """All assets, checks, jobs and schedules of the project that the file `definitions` lies in."""
    let_waiting_threads_sleep()
    warn_of_unknown_variables()
    with one_sentence():
        project = containing(Path(definitions).parent)
        return definitions_of(project.root, declared(project).whole())


def definitions_of(root: Path, found: Declarations) -> dg.Definitions:
    """The assets, checks, jobs and schedules of what the project in the folder `root` declares."""
    assets: list[Any] = [warehouse.source(name, description) for name, description in found.sources.items()]
    assets += [warehouse.prepared(preparation) for preparation in found.preparations.values()]
    assets += [asset for project in found.dbt for asset in of_dbt(project, found.steps_of_dbt())]
    checks: list[Any] = []
    jobs: list[Any] = []
    schedules: list[Any] = []
    for tables in found.groups():
        assets += [*map(replication.snapshot, tables), replication.publication(tables)]
        checks += map(standing_checks.standing_checks, tables)
        schedules.append(replication.schedule(tables, found.preparations))
    for model in found.models.values():
        training = TrainingAssets(model, dict(found.tables))
        assets += [
            training.rows("training_set", f"What the candidate is trained on: the {trained_on(model)} the named one."),
            training.rows(
                "holdout_set", f"What the candidate is judged on: the named {model.every}, which it never saw."
            ),
            training.candidate(),
            releasing.test_release(training),
            releasing.prod_release(training),
        ]
        job, schedule = releasing.job_and_schedule(training, found.preparations)
        jobs.append(job)
        schedules.append(schedule)
        jobs.append(_everything_for(training, found))
    assets += [
        retention.retention(RetentionPolicy()),
        model_retention.model_retention(ModelRetention()),
        journal_upkeep.journal_upkeep(),
    ]
    job, schedule = retention.job_and_schedule()
    jobs.append(job)
    schedules.append(schedule)
    if found.tables:
        jobs.append(replication.job(list(found.tables.values()), found.preparations))
        job, schedule = standing_checks.job_and_schedule(list(found.tables))
        jobs.append(job)
        schedules.append(schedule)
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=jobs,
        schedules=schedules,
        resources={"environment": Environment(project=str(root))},
        executor=executor(),
    )


def _everything_for(training: TrainingAssets, found: Declarations) -> "dg.UnresolvedAssetJobDefinition":
    """The job of one model's assets, and of the tables of its lookups with all that become current with them."""
    tables = [table for group in found.groups() if {t.name for t in group} & training.tables.keys() for table in group]
    model = releasing.selection(training, found.preparations)
    return dg.define_asset_job(
        f"everything_for_{training.name}",
        selection=model | replication.selection(tables, found.preparations) if tables else model,
        description=f"The tables of {training.name}, and its release of one {training.model.every}: what a first "
        "prediction needs.",
    )
