"""One training run, from the warehouse to both books: the steps that `penstock train` and the Dagster assets call."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import TYPE_CHECKING, Literal

import msgspec

from penstock.artifact.load import load as load_artifact
from penstock.code_version import code_version
from penstock.declare.model import Model
from penstock.declare.periods import Period
from penstock.declare.project import Declarations
from penstock.declare.table import ReplicatedTable
from penstock.errors import PenstockError
from penstock.extract.extract import extract, extract_training_rows
from penstock.extract.preparing import prepare
from penstock.lookups.fit import misfits_in
from penstock.postgres.book import Book
from penstock.postgres.pointer import pointers
from penstock.publish.publish import publish
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.code_archive import CodeArchive
from penstock.releases.entry import LedgerEntry
from penstock.releases.ledger import Proposal, ReleaseError, Verdict, current, release
from penstock.serving.deploying.code_copy import keep
from penstock.settings import Settings
from penstock.snapshots.store import Snapshot, SnapshotStore
from penstock.training.gate import Decision, GateError, decide, with_recorded
from penstock.training.held_out import HeldOut
from penstock.training.own_features import KeptCode
from penstock.training.skew import Skew, skew
from penstock.warehouse.opening import open_warehouse

if TYPE_CHECKING:
    from penstock.training.candidate import Candidate, Say

RowSet = Literal["training_set", "holdout_set"]
ROWS_COMPARED = 2_000


class TrainingRun:
    """The run of one model and one period. Its steps, in their order:

    1. `prepare` creates the tables inside the warehouse that the lookups need.
    2. `extract` stores the snapshots of the training set and of the held-out set.
    3. `publish` publishes those of `missing_tables`, also those that lack a column.
    4. `compare_with_serving` sends held-out rows through the serving lookup.
    5. `train` fits, packs and stores the candidate.
    6. `release_to_test` and `release_to_prod` move the pointers of the books, if `judge` finds no reason against it.

    Held-out rows and their scores are computed once and kept for the later steps.

    - `tables`: those of the model's lookups.
    - `declared_in`: the module whose function `declared` returns the model, for a Ray task.
    - `incomplete`: whether a period may be trained whose outcomes are not all known yet; it is refused otherwise.
    """

    def __init__(
        self,
        settings: Settings,
        model: Model,
        period: str,
        tables: Sequence[ReplicatedTable] = (),
        *,
        declared_in: str = "penstock.declare.discovery",
        incomplete: bool = False,
    ) -> None:
        self.settings, self.model, self.period = settings, model, period
        self.name = model.contract.model
        self.tables = {table.name: table for table in tables}
        self.snapshots, self.artifacts = SnapshotStore(settings.snapshots), ArtifactStore(settings.artifacts)
        self._declared_in = declared_in
        self._named = Period.parse(period, model.every, of=f"period of model {self.name!r}")
        self._windows = self._named.windows(model.window)
        self._incomplete = incomplete
        self._held_out: HeldOut | None = None

    def prepare(self, declarations: Declarations) -> None:
        """Run the preparations on which the model's rows and lookups are based."""
        warehouse = open_warehouse(self.settings)
        for preparation in declarations.preparations_of(self.tables.values(), self.model):
            prepare(warehouse, preparation)

    def window(self, rows: RowSet) -> tuple[datetime, datetime]:
        """From when (inclusive) until when (exclusive) the rows were asked, UTC."""
        window = self._windows
        if rows == "training_set":
            return window.training_from, window.holdout_from
        return window.holdout_from, window.holdout_until

    def demand_complete(self) -> None:
        """PenstockError for a period before the first, and while its outcomes are not known, unless `incomplete`."""
        self.model.demand_from_first(self._named)
        known = self._incomplete_until()
        if not known or self._incomplete:
            return
        newest = self.model.newest_trainable(self.settings.now())
        raise PenstockError(
            f"period {self.period} of model {self.name!r}",
            expected=f"at most {newest}, the newest whose outcomes are known",
            found=f"one whose outcomes are known on {known}",
            todo=f"Train {newest}, or train it as it is by `--incomplete --why TEXT`, which the ledger keeps.",
        )

    def _incomplete_until(self) -> str:
        """When the outcomes of the period will be known; empty if they are."""
        known = self.model.trainable_from(self._named)
        return "" if known <= self.settings.now() else f"{known:%Y-%m-%d %H:%M} UTC"

    def extract(self, rows: RowSet, ended: Event | None = None) -> Snapshot:
        """Extract the training set or the held-out set from the warehouse; its query ends once `ended` is set."""
        self.demand_complete()
        since, until = self.window(rows)
        name = self._snapshot_name(rows)
        warehouse, now = open_warehouse(self.settings, ended), self.settings.now()
        return extract_training_rows(
            self.model, self.tables, warehouse, self.snapshots, now, name=name, since=since, until=until
        )

    def extract_both(self) -> tuple[Snapshot, Snapshot]:
        """Extract the training set and the held-out set. The warehouse runs one query while the other's rows are
        checked. An interrupt, or an error of one, ends the query of the other too."""
        ended = Event()
        with ThreadPoolExecutor(1) as beside:
            holdout = beside.submit(self.extract, "holdout_set", ended)
            try:
                training = self.extract("training_set")
            except BaseException:
                ended.set()
                raise
        return training, holdout.result()

    def latest(self, rows: RowSet) -> Snapshot:
        """The newest stored training set or held-out set of the period; PenstockError if there is none."""
        found = self.snapshots.latest(self._snapshot_name(rows))
        if found is None:
            todo = f"Materialize {self.name}/{rows} for {self.period}."
            raise PenstockError(f"{rows} of {self.period}", expected="a snapshot", found="none", todo=todo)
        return found

    def missing_tables(self, books: Iterable[Book]) -> list[ReplicatedTable]:
        """The tables of the model's lookups that one of the books does not have yet, or not with their columns."""
        missing: set[str] = set()
        for book in books:
            with book.connect() as connection:
                missing |= self.tables.keys() - pointers(connection).keys()
                missing |= misfits_in(connection, self.model.contract).keys() & self.tables.keys()
        return [table for name, table in self.tables.items() if name in missing]

    def publish(self, tables: Sequence[ReplicatedTable], books: Iterable[Book]) -> None:
        """Extract tables and publish them into the books."""
        warehouse = open_warehouse(self.settings)
        for table in tables:
            snapshot = extract(table, warehouse, self.snapshots, self.settings.now())
            publish(snapshot, table, books, who="penstock train", service=self.settings.service_url)

    def compare_with_serving(self, holdout: Snapshot, test: Book) -> Skew:
        """How the feature vectors of held-out rows differ when the lookups of TEST make them."""
        return skew(test, self.model, holdout, rows=ROWS_COMPARED)

    def train(self, training: Snapshot, holdout: Snapshot, compared: Skew, test: Book, say: "Say") -> "Candidate":
        """The candidate: trained in a Ray task where PENSTOCK_RAY_ADDRESS names a cluster, else in this process.

        SkewError if training and serving were found to differ.
        """
        from penstock.training.candidate import Job, work

        compared.demand_none(self.name)
        if (project := self.settings.project) is not None:
            contract = self.model.contract.digest()
            CodeArchive(self.settings.artifacts).put(contract, project, self.settings.home)
        job = Job(
            declared_in=self._declared_in,
            model=self.name,
            contract=self.model.contract.digest(),
            period=self.period,
            incomplete_until=self._incomplete_until(),
            training=training.id,
            holdout=holdout.id,
            snapshots=self.settings.snapshots,
            artifacts=self.settings.artifacts,
            code_version=code_version(),
            before=current(test, self.name),
        )
        if self.settings.ray_address.startswith(("http://", "https://")):
            from penstock.training.by_job import train_by_job

            with TemporaryDirectory() as folder:
                code = keep(self.settings.demand_project(), Path(folder), self.settings.home)
                return train_by_job(self.settings.ray_address, code, job, self.model.ray_options, say)
        if self.settings.ray_address:
            from penstock.training.on_ray import train_on_ray

            return train_on_ray(self.settings.ray_address, job, self.model.ray_options, say)
        return work(job, self.held_out(holdout.id), self.settings.artifact_cache, say)

    def held_out(self, snapshot_id: str) -> HeldOut:
        """The held-out rows of this snapshot with what is known of them, kept from step to step."""
        if self._held_out is None or self._held_out.snapshot.id != snapshot_id:
            snapshot = self.snapshots.open(snapshot_id)
            cache = self.settings.artifact_cache
            kept = KeptCode(self.settings.artifacts, cache.parent / "code", self.settings.snapshots)
            self._held_out = HeldOut(self.model, snapshot, self.artifacts, cache, kept)
        return self._held_out

    def proposal_of(self, artifact: str) -> Proposal:
        """The proposal to release a stored artifact, from its own metadata; for a release after the training."""
        metadata = load_artifact(self.artifacts.fetch(artifact, self.settings.artifact_cache)).metadata
        return Proposal(
            model=str(metadata["model"]),
            artifact=artifact,
            contract=str(metadata["contract"]),
            period=str(metadata["period"] if "period" in metadata else metadata["month"]),
            training_snapshot=str(metadata["training_snapshot"]),
            holdout_snapshot=str(metadata["holdout_snapshot"]),
            metrics=metadata["metrics"],
            code_version=code_version(),
        )

    def judge(self, proposal: Proposal, before: LedgerEntry | None) -> Decision:
        """The decision of the gate: candidate and current release, compared on the candidate's held-out rows."""
        held_out, running = self.held_out(proposal.holdout_snapshot), self.model.contract.digest()
        comparison = held_out.compare(proposal.artifact, before.artifact if before else None)
        reasons: list[str] = []
        if not self.model.contract.is_of(proposal.contract):
            reasons.append(f"its contract {proposal.contract[:12]} is not the running one {running[:12]}")
        if before is not None and Period.parse(proposal.period).end < Period.parse(before.period).end:
            reasons.append(f"its period {proposal.period} is older than {before.period} of release {before.release}")
        if "incomplete_until" in proposal.metrics and not self._incomplete:
            known = proposal.metrics["incomplete_until"]
            reasons.append(f"it was trained before the outcomes of {proposal.period} were known, on {known}")
        if before is not None and held_out.scores(before.artifact) is None:
            if not held_out.lacks_features(before.artifact):
                reasons.append(
                    f"release {before.release} answers otherwise than the contract: other classes, or scores"
                )
            elif Period.parse(before.period) == Period.parse(proposal.period):
                comparison = with_recorded(comparison, before.metrics)
            else:
                reasons.append(
                    f"release {before.release} needs features that the contract no longer has, so only their scores on"
                    f" {before.period}, which the ledger has, can be compared: train {before.period}"
                )
        if held_out.scores(proposal.artifact) is None:
            reasons.append("it needs features, or has classes, that the contract does not have")
        return decide(
            comparison,
            current_release=before.release if before else None,
            further_reasons=tuple(reasons),
            coverage=held_out.coverage(proposal.artifact),
            current_coverage=held_out.coverage(before.artifact) if before else None,
        )

    def release_to_test(
        self, proposal: Proposal, test: Book, *, who: str, why: str, override: bool = False
    ) -> LedgerEntry:
        """Release into TEST if the gate lets it; GateError, and nothing changed, if not."""
        return self._release(proposal, test, who, why, override, None)

    def release_to_prod(
        self, proposal: Proposal, test: Book, prod: Book, *, who: str, why: str, override: bool = False
    ) -> LedgerEntry:
        """Release into PROD what is current in TEST, under the same number, if PROD's own gate lets it."""
        there = current(test, proposal.model)
        if there is None or there.artifact != proposal.artifact:
            raise ReleaseError(
                f"release of {proposal.model} into PROD",
                expected="an artifact that is current in TEST",
                found=f"{proposal.artifact[:12]}, while TEST has {there.artifact[:12] if there else 'none'}",
                todo="Release it into TEST first.",
            )
        return self._release(proposal, prod, who, why, override, there.release)

    def _release(
        self, proposal: Proposal, book: Book, who: str, why: str, override: bool, number: int | None
    ) -> LedgerEntry:
        def verdict(before: LedgerEntry | None) -> Verdict:
            """Computed inside the transaction that moves the pointer."""
            decision = self.judge(proposal, before)
            if not decision.passed and not override:
                raise GateError(proposal.model, decision)
            return Verdict("release" if decision.passed else "override", msgspec.to_builtins(decision))

        return release(book, proposal, verdict, who=who, why=why, number=number)

    def _snapshot_name(self, rows: RowSet) -> str:
        return f"{self.name}.{rows}.{self.period}"
