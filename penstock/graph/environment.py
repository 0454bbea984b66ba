"""The parts that assets use, as one Dagster resource."""

from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from penstock.declare.model import Model
from penstock.declare.table import ReplicatedTable
from penstock.postgres.book import Books
from penstock.project import containing
from penstock.releases.artifacts import ArtifactStore
from penstock.runtime import Runtime
from penstock.settings import Settings
from penstock.snapshots.store import SnapshotStore
from penstock.training.run import TrainingRun


class Environment(dg.ConfigurableResource[None]):
    """The parts that the environment names when a run begins in this process; each is opened when it is first used.

    Dagster makes one of these per run. `project` is the folder of the project.
    """

    project: str = ""
    _runtime: Runtime | None = None
    _training_runs: dict[tuple[str, str], TrainingRun] = {}  # noqa: RUF012  # pydantic copies it for each instance

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002  # Dagster's signature
        """Load the settings; called by Dagster."""
        self._runtime = Runtime.load(containing(Path(self.project)) if self.project else None)

    @property
    def runtime(self) -> Runtime:
        """All parts."""
        if self._runtime is None:
            raise AssertionError("Dagster sets this resource up before it runs a step")
        return self._runtime

    @property
    def settings(self) -> Settings:
        """The settings of this run."""
        return self.runtime.settings

    @property
    def books(self) -> Books:
        """TEST and PROD."""
        return self.runtime.books

    @property
    def snapshots(self) -> SnapshotStore:
        """The snapshot store."""
        return self.runtime.snapshots

    @property
    def artifacts(self) -> ArtifactStore:
        """The artifact store."""
        return self.runtime.artifacts

    def training_run(self, model: Model, period: str, tables: Sequence[ReplicatedTable]) -> TrainingRun:
        """The training run of a model and period: one for all steps of a Dagster run that share its process."""
        key = model.contract.model, period
        if key not in self._training_runs:
            self._training_runs[key] = TrainingRun(self.settings, model, period, tables)
        return self._training_runs[key]
