"""What assets use: settings, books, stores and training runs, as one Dagster resource."""

from collections.abc import Sequence

import dagster as dg

from penstock import settings as environment
from penstock.declare.model import Model
from penstock.declare.table import ReplicatedTable
from penstock.postgres.book import Books
from penstock.postgres.urls import open_books
from penstock.releases.artifacts import ArtifactStore
from penstock.settings import Settings
from penstock.snapshots.store import SnapshotStore
from penstock.training.run import TrainingRun


class Environment(dg.ConfigurableResource[None]):
    """The parts that the process's settings name, opened when they are used. Dagster makes one of these per run."""

    _training_runs: dict[tuple[str, str], TrainingRun] = {}  # noqa: RUF012  # pydantic copies it for each instance

    @property
    def settings(self) -> Settings:
        """The settings of this process."""
        return environment.load()

    @property
    def books(self) -> Books:
        """TEST and PROD."""
        return open_books(self.settings)

    @property
    def snapshots(self) -> SnapshotStore:
        """The snapshot store."""
        return SnapshotStore(self.settings.snapshots)

    @property
    def artifacts(self) -> ArtifactStore:
        """The artifact store."""
        return ArtifactStore(self.settings.artifacts)

    def training_run(self, model: Model, month: str, tables: Sequence[ReplicatedTable]) -> TrainingRun:
        """The training run of a model and month: one for all steps of a Dagster run that share its process."""
        key = model.contract.model, month
        if key not in self._training_runs:
            self._training_runs[key] = TrainingRun(self.settings, model, month, tables)
        return self._training_runs[key]
