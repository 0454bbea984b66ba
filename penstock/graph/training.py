"""The training of a model as assets, partitioned by its periods: training set, held-out set, and candidate."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from penstock.declare.metrics import Task
from penstock.declare.model import Model
from penstock.declare.periods import Period
from penstock.declare.steps import asset_path
from penstock.declare.table import ReplicatedTable
from penstock.graph.environment import Environment
from penstock.graph.evidence import as_table, image, snapshot_evidence
from penstock.graph.faults import faults
from penstock.graph.pools import WAREHOUSE, of_model
from penstock.releases.card_text import markdown
from penstock.releases.ledger import current
from penstock.training.run import RowSet, TrainingRun
from penstock.training.skew import Skew

PLOTS: dict[Task, str] = {
    "binary": "roc_and_calibration",
    "multiclass": "confusion",
    "regression": "residuals",
    "binary_scores": "roc_and_scores",
    "multiclass_scores": "confusion",
    "values": "predicted_and_actual",
}


class TrainingAssets:
    """The assets of one model, which share its declaration and its partitions."""

    def __init__(self, model: Model, tables: dict[str, ReplicatedTable]) -> None:
        self.model = model
        self.name = model.contract.model
        used = {lookup.table for lookup in model.contract.lookups}
        self.tables = {name: table for name, table in tables.items() if name in used}
        self.partitions = partitions_of(model)
        joined = {source for table in self.tables.values() for source in table.after}
        self.sources = sorted(joined | set(model.read_steps))
        self.owners = [model.owner] if model.owner else None

    def key(self, step: str) -> dg.AssetKey:
        """The asset of one step."""
        return dg.AssetKey([self.name, step])

    def rows(self, step: RowSet, description: str) -> dg.AssetsDefinition:
        """The asset `training_set` or `holdout_set`: rows of the period's window, lookups joined as of asking."""

        @dg.asset(
            key=self.key(step),
            deps=[asset_path(source) for source in self.sources],
            partitions_def=self.partitions,
            group_name=self.name,
            description=description,
            owners=self.owners,
            kinds={"parquet", "pandera"},
            pool=WAREHOUSE,
        )
        def take(context: dg.AssetExecutionContext, environment: Environment) -> Iterator[dg.MaterializeResult[None]]:
            run = self.run(context, environment)
            with faults():
                extracted = run.extract(step)
            since, until = run.window(step)
            yield dg.MaterializeResult(
                metadata={
                    **snapshot_evidence(extracted, self.model.rows_shape),
                    "window": f"{since:%Y-%m-%d} up to {until:%Y-%m-%d}",
                },
                data_version=dg.DataVersion(extracted.id),
            )

        return take

    def candidate(self) -> dg.AssetsDefinition:
        """The asset that trains, scores, packs and proves the artifact."""
        key = self.key("candidate")

        @dg.asset(
            key=key,
            deps=[
                self.key("training_set"),
                self.key("holdout_set"),
                *(dg.AssetKey(["test", name]) for name in self.tables),
            ],
            partitions_def=self.partitions,
            group_name=self.name,
            description=f"{self.model.description} Trained on the {trained_on(self.model)}, scored on the "
            f"{self.model.every} itself.",
            owners=self.owners,
            kinds={"sklearn"},
            check_specs=[
                dg.AssetCheckSpec(
                    "parity", asset=key, description="The artifact gives scikit-learn's own answers on every row."
                ),
                dg.AssetCheckSpec(
                    "no_skew",
                    asset=key,
                    description="Rows sent through the serving lookup give the vectors of training, to the bit.",
                ),
            ],
            pool=of_model(self.name),
        )
        def trained(
            context: dg.AssetExecutionContext, environment: Environment
        ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:

            run, (test, _) = self.run(context, environment), environment.books
            with faults():
                holdout = run.latest("holdout_set")
                compared = run.compare_with_serving(holdout, test)
                yield dg.AssetCheckResult(
                    passed=not compared.differing,
                    check_name="no_skew",
                    asset_key=key,
                    metadata=_skew_evidence(compared),
                )
                made = run.train(run.latest("training_set"), holdout, compared, test, context.log.info)
                decision = run.judge(made.proposal, current(test, self.name))
            metrics, judged = made.proposal.metrics, self.model.gate.bounds[0].name
            yield dg.MaterializeResult(
                metadata={
                    "artifact": made.proposal.artifact,
                    judged: metrics[judged],
                    f"{judged}_base_rate": metrics.get(f"{judged}_base_rate", float("nan")),
                    "gate_would_say": decision.summary,
                    "metrics": as_table(("metric", "value"), metrics.items()),
                    PLOTS[made.card.task]: image(made.card.plot),
                    **({"contributions": image(made.card.contributions_plot)} if made.card.contributions_plot else {}),
                    "card": dg.MetadataValue.md(markdown(made.card)),
                    "training_rows": made.training_rows,
                    "holdout_rows": made.holdout_rows,
                    "artifact_bytes": metrics["artifact_bytes"],
                },
                check_results=[
                    dg.AssetCheckResult(
                        passed=True,
                        check_name="parity",
                        metadata={"largest_difference": made.parity, "allowed": made.card.parity_allowed},
                    )
                ],
            )

        return trained

    def period(self, context: dg.AssetExecutionContext) -> str:
        """The name of the period that is materialized."""
        first_day = datetime.fromisoformat(context.partition_key).replace(tzinfo=UTC)
        return str(Period.containing(first_day, self.model.every))

    def run(self, context: dg.AssetExecutionContext, environment: Environment) -> TrainingRun:
        """The training run of the period that is materialized."""
        return environment.training_run(self.model, self.period(context), list(self.tables.values()))


def _skew_evidence(compared: Skew) -> dict[str, dg.MetadataValue]:
    return {
        "rows": dg.MetadataValue.int(compared.rows),
        "differing_features": dg.MetadataValue.json(dict(compared.differing)),
        "snapshots": dg.MetadataValue.json(dict(compared.snapshots)),
    }


def partitions_of(model: Model) -> dg.TimeWindowPartitionsDefinition:
    """One partition for each period that is over, its key the first day: for ISO weeks the Monday."""
    first = model.first.start
    if model.every == "day":
        return dg.DailyPartitionsDefinition(start_date=first)
    if model.every == "week":
        return dg.WeeklyPartitionsDefinition(start_date=first, day_offset=1)
    return dg.MonthlyPartitionsDefinition(start_date=first)


def trained_on(model: Model) -> str:
    """The window before the held-out period, in words."""
    return f"{model.every} before" if model.window == 1 else f"{model.window} {model.every}s before"
