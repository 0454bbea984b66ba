"""What assets touch: settings, books and stores, as one Dagster resource."""

from pathlib import Path

import dagster as dg

from penstock import settings as environment
from penstock.postgres.book import Book
from penstock.postgres.urls import open_books
from penstock.project import containing
from penstock.releases.artifacts import ArtifactStore
from penstock.settings import Settings
from penstock.snapshots.store import SnapshotStore


class Environment(dg.ConfigurableResource[None]):
    """The parts that the process's settings name, for a project by its folder; opened when asked for."""

    project: str = ""

    @property
    def settings(self) -> Settings:
        """The settings of this process and project."""
        return environment.load(containing(Path(self.project)) if self.project else None)

    @property
    def books(self) -> tuple[Book, Book]:
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
