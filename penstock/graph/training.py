"""A model's training as monthly assets: training set, held-out set, and the candidate."""

from collections.abc import Iterator

import dagster as dg

from penstock.code_version import code_version
from penstock.declare.model import Model
from penstock.declare.table import ReplicatedTable
from penstock.errors import PenstockError
from penstock.extract.extract import extract_training_rows
from penstock.graph.environment import Environment
from penstock.graph.evidence import as_table, image, snapshot_evidence
from penstock.graph.faults import faults
from penstock.graph.warehouse import POOL
from penstock.releases.card_text import markdown
from penstock.releases.ledger import current
from penstock.snapshots.store import Snapshot
from penstock.training.months import windows
from penstock.training.skew import Skew, skew

ROWS_COMPARED = 2_000
PLOTS = {"binary": "roc_and_calibration", "multiclass": "confusion", "regression": "residuals"}


class TrainingAssets:
    """The assets of one model, which share its declaration and its monthly partitions."""

    def __init__(self, model: Model, tables: dict[str, ReplicatedTable]) -> None:
        self.model = model
        self.name = model.contract.model
        used = {lookup.table for lookup in model.contract.lookups}
        self.tables = {name: table for name, table in tables.items() if name in used}
        self.partitions = dg.MonthlyPartitionsDefinition(start_date=model.first_month)
        joined = {source for table in self.tables.values() for source in table.after}
        self.sources = sorted(joined | {f"warehouse/{name}" for name in model.reads})
        self.owners = [model.owner] if model.owner else None

    def key(self, step: str) -> dg.AssetKey:
        """The asset of one step."""
        return dg.AssetKey([self.name, step])

    def rows(self, step: str, description: str) -> dg.AssetsDefinition:
        """The asset `training_set` or `holdout_set`: rows of the month's window, lookups joined as of asking."""

        @dg.asset(
            key=self.key(step),
            deps=[source.split("/") for source in self.sources],
            partitions_def=self.partitions,
            group_name=self.name,
            description=description,
            owners=self.owners,
            kinds={"parquet", "pandera"},
            pool=POOL,
        )
        def take(context: dg.AssetExecutionContext, environment: Environment) -> Iterator[dg.MaterializeResult[None]]:
            window = windows(month_of(context), self.model.window_months)
            since, until = (
                (window.training_from, window.holdout_from)
                if step == "training_set"
                else (window.holdout_from, window.holdout_until)
            )
            with faults():
                taken = extract_training_rows(
                    environment.settings,
                    self.model,
                    self.tables,
                    name=self.snapshot_name(step, month_of(context)),
                    since=since,
                    until=until,
                )
            window_text = f"{since:%Y-%m-%d} up to {until:%Y-%m-%d}"
            yield dg.MaterializeResult(
                metadata={**snapshot_evidence(taken, self.model.shape), "window": window_text},
                data_version=dg.DataVersion(taken.id),
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
            description=f"{self.model.description} Trained on the months before, scored on the month itself.",
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
        )
        def trained(
            context: dg.AssetExecutionContext, environment: Environment
        ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
            from penstock.training.candidate import PARITY
            from penstock.training.job import train
            from penstock.training.release import gate

            month, settings = month_of(context), environment.settings
            with faults():
                holdout = self.stored(environment, "holdout_set", month)
                seen = skew(environment.books[0], self.model, holdout, rows=ROWS_COMPARED)
                yield dg.AssetCheckResult(
                    passed=not seen.differing, check_name="no_skew", asset_key=key, metadata=_skew_evidence(seen)
                )
                seen.demand_none(self.name)
                before = current(environment.books[0], self.name)
                made = train(
                    settings,
                    self.model,
                    month,
                    self.stored(environment, "training_set", month),
                    holdout,
                    declared_in="penstock.declare.discovery",
                    before=before,
                    code_version=code_version(settings.project),
                    say=context.log.info,
                )
                decision = gate(settings, self.model, made.proposal, before)
            metrics, judged = made.proposal.metrics, self.model.gate.metric
            yield dg.MaterializeResult(
                metadata={
                    "artifact": made.proposal.artifact,
                    judged: metrics[judged],
                    f"{judged}_base_rate": metrics.get(f"{judged}_base_rate", float("nan")),
                    "gate_would_say": decision.summary,
                    "metrics": as_table(("metric", "value"), metrics.items()),
                    PLOTS[made.card.task]: image(made.card.plot),
                    "card": dg.MetadataValue.md(markdown(made.card)),
                    "training_rows": made.training_rows,
                    "holdout_rows": made.holdout_rows,
                    "artifact_bytes": metrics["artifact_bytes"],
                },
                check_results=[
                    dg.AssetCheckResult(
                        passed=True,
                        check_name="parity",
                        metadata={"largest_difference": made.parity, "allowed": PARITY},
                    )
                ],
            )

        return trained

    def snapshot_name(self, step: str, month: str) -> str:
        """Under which name the snapshot of a step and month is stored."""
        return f"{self.name}.{step}.{month}"

    def stored(self, environment: Environment, step: str, month: str) -> Snapshot:
        """The newest snapshot of a step and month; PenstockError if there is none."""
        found = environment.snapshots.latest(self.snapshot_name(step, month))
        if found is None:
            todo = f"Materialize {self.name}/{step} for {month}."
            raise PenstockError(f"{step} of {month}", expected="a snapshot", found="none", todo=todo)
        return found


def _skew_evidence(seen: Skew) -> dict[str, dg.MetadataValue]:
    return {
        "rows": dg.MetadataValue.int(seen.rows),
        "differing_features": dg.MetadataValue.json(dict(seen.differing)),
        "snapshots": dg.MetadataValue.json(dict(seen.snapshots)),
    }


def month_of(context: dg.AssetExecutionContext) -> str:
    """The run's partition as `YYYY-MM`."""
    key: str = context.partition_key
    return key[:7]
