"""What assets touch: settings, books and stores, as one Dagster resource."""

import dagster as dg

from resources import settings as environment
from resources.artifacts import ArtifactStore
from resources.book import Book
from resources.postgres import open_books
from resources.settings import Settings
from resources.snapshots import SnapshotStore


class Environment(dg.ConfigurableResource[None]):
    """The parts that the process's settings name; opened when asked for."""

    @property
    def settings(self) -> Settings:
        """The settings of this process."""
        return environment.load()

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
