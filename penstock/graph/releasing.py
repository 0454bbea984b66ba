"""A model's releases as assets: into TEST, then into PROD, each through the gate."""

from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Any

import dagster as dg

from penstock.declare.metrics import judged_by, judged_value
from penstock.declare.preparation import Preparation
from penstock.declare.steps import prepared_steps
from penstock.errors import PenstockError
from penstock.graph.environment import Environment
from penstock.graph.evidence import as_table
from penstock.graph.faults import faults
from penstock.graph.pools import of_model
from penstock.graph.training import TrainingAssets, trained_on
from penstock.releases.entry import LedgerEntry
from penstock.releases.ledger import ReleaseError, ledger

LEDGER = ("release", "action", "period", "at", "who", "why")
CADENCE = {"day": "daily training", "week": "weekly training", "month": "monthly training"}
FINDING = ("metric", "candidate", "floor", "margin", "current", "difference", "interval")


class ReleaseConfig(dg.Config):
    """Why this release is made; the cadence of its model if empty.

    `override` lets pass what the gate refuses, and is recorded.
    """

    why: str = ""
    override: bool = False


def test_release(training: TrainingAssets) -> dg.AssetsDefinition:
    """The asset that moves TEST's pointer."""
    return _release(training, "test_release", [training.key("candidate"), training.key("holdout_set")])


def prod_release(training: TrainingAssets) -> dg.AssetsDefinition:
    """The asset that moves PROD's pointer to what is current in TEST."""
    tables = [dg.AssetKey(["prod", name]) for name in training.tables]
    return _release(training, "prod_release", [training.key("candidate"), training.key("test_release"), *tables])


def selection(training: TrainingAssets, preparations: Mapping[str, Preparation]) -> dg.AssetSelection:
    """The assets of a model, and of the preparations that its query reads."""
    own = dg.AssetSelection.groups(training.name)
    before = prepared_steps(training.model.read_steps, preparations)
    return own | dg.AssetSelection.assets(*(dg.AssetKey(step.split("/")) for step in before)) if before else own


def job_and_schedule(
    training: TrainingAssets, preparations: Mapping[str, Preparation]
) -> tuple["dg.UnresolvedAssetJobDefinition", dg.ScheduleDefinition]:
    """The job from training set to release, and its schedule, switched on, for the newest trainable period."""
    model = training.model
    job = dg.define_asset_job(
        f"train_{training.name}",
        selection=selection(training, preparations),
        description=f"Trains {training.name} on the {trained_on(model)}, and releases it if the gate lets it.",
    )

    @dg.schedule(
        name=f"train_{training.name}_schedule",
        job=job,
        cron_schedule=model.training_cron,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"The newest {model.every} whose outcomes are known.",
    )
    def newest(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        period = model.newest_trainable(context.scheduled_execution_time)
        if period.start < model.first.start:
            return dg.SkipReason(f"{period} is before {model.first}, the first {model.every} that can be trained.")
        return dg.RunRequest(partition_key=period.first_day)

    return job, newest


def _release(training: TrainingAssets, step: str, deps: list[dg.AssetKey]) -> dg.AssetsDefinition:
    key = training.key(step)
    book = step.split("_", maxsplit=1)[0].upper()

    @dg.asset(
        key=key,
        deps=deps,
        partitions_def=training.partitions,
        group_name=training.name,
        description=f"The release of {training.name} that {book} serves. Moved only by the gate.",
        owners=training.owners,
        kinds={"postgres"},
        check_specs=[
            dg.AssetCheckSpec("gate", asset=key, description="Reaches the floor; not worse than the release before.")
        ],
        pool=of_model(training.name),
    )
    def move(
        context: dg.AssetExecutionContext, environment: Environment, config: ReleaseConfig
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        from penstock.training.gate import GateError

        run, (test, prod) = training.run(context, environment), environment.books
        who = f"dagster run {context.run.run_id}"
        why = config.why or CADENCE[training.model.every]
        with faults():
            proposal = run.proposal_of(_candidate(context, training))
            try:
                if step == "test_release":
                    entry = run.release_to_test(proposal, test, who=who, why=why, override=config.override)
                else:
                    entry = run.release_to_prod(proposal, test, prod, who=who, why=why, override=config.override)
            except GateError as refused:
                found: dict[str, Any] = {
                    "decision": refused.decision.summary,
                    "findings": as_table(
                        FINDING, map(attrgetter(*FINDING), (refused.decision, *refused.decision.also))
                    ),
                }
                yield dg.AssetCheckResult(passed=False, check_name="gate", asset_key=key, metadata=found)
                raise dg.Failure(str(refused), metadata=found, allow_retries=False) from refused
            listed = ledger(test if step == "test_release" else prod, training.name, limit=20)
        yield _result(entry, listed)

    return move


def _candidate(context: dg.AssetExecutionContext, training: TrainingAssets) -> str:
    """The artifact of the period's candidate, from the metadata of its newest materialization."""
    records = context.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=training.key("candidate"), asset_partitions=[context.partition_key]), limit=1
    ).records
    if not records or records[0].asset_materialization is None:
        todo = f"Materialize {training.name}/candidate for {training.period(context)}."
        raise ReleaseError(
            f"candidate of {training.period(context)}", expected="a trained one", found="none", todo=todo
        )
    artifact = records[0].asset_materialization.metadata["artifact"].value
    if not isinstance(artifact, str):
        raise PenstockError("candidate", expected="an artifact digest in its metadata", found=repr(artifact))
    return artifact


def _result(entry: LedgerEntry, listed: list[LedgerEntry]) -> dg.MaterializeResult[None]:
    from penstock.training.gate import summary_of

    overridden, judged = entry.action == "override", judged_by(entry.metrics)
    return dg.MaterializeResult(
        metadata={
            "release": entry.release,
            "action": entry.action,
            "artifact": entry.artifact,
            "replaced": entry.replaced if entry.replaced is not None else "nothing: the first release",
            "who": entry.who,
            "why": entry.why,
            "decision": f"{'OVERRIDDEN: ' if overridden else ''}{summary_of(entry.gate)}",
            judged: judged_value(entry.metrics),
            "gate": dg.MetadataValue.json(dict(entry.gate)),
            "ledger": as_table(LEDGER, map(attrgetter(*LEDGER), listed)),
        },
        check_results=[
            dg.AssetCheckResult(
                passed=not overridden,
                check_name="gate",
                severity=dg.AssetCheckSeverity.WARN,
                metadata={
                    "decision": summary_of(entry.gate),
                    "findings": dg.MetadataValue.json(dict(entry.gate)),
                    "overridden": entry.why if overridden else "no",
                },
            )
        ],
    )
