"""The parts that one process works with, made once at its top: by a command, or by a run of Dagster.

Rooms below take the part that they use, never all of them.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

from penstock.settings import Settings, load

if TYPE_CHECKING:
    from penstock.contract.registry import Contracts
    from penstock.declare.project import Declarations
    from penstock.postgres.book import Books
    from penstock.project import Project
    from penstock.releases.artifacts import ArtifactStore
    from penstock.releases.cards import CardStore
    from penstock.snapshots.store import SnapshotStore
    from penstock.warehouse.interface import Warehouse


@dataclass(frozen=True)
class Runtime:
    """The settings of a process and what they name. A part is imported and opened when it is first used, and kept."""

    settings: Settings

    @classmethod
    def load(cls, project: "Project | None" = None) -> Self:
        """The parts that this process's environment names, of a project, by default this process's own."""
        return cls(load(project))

    @cached_property
    def declared(self) -> "Declarations":
        """What the project declares."""
        from penstock.declare.discovery import declared

        return declared(self.settings.project)

    @cached_property
    def contracts(self) -> "Contracts":
        """The contracts of the project."""
        from penstock.contract.registry import read_contracts

        return read_contracts(self.settings.project)

    @cached_property
    def books(self) -> "Books":
        """TEST and PROD; BookError if this code does not work with their versions."""
        from penstock.postgres.databases import Databases

        return Databases(self.settings).open_books()

    @cached_property
    def warehouse(self) -> "Warehouse":
        """Where the data is."""
        from penstock.warehouse.opening import open_warehouse

        return open_warehouse(self.settings)

    @cached_property
    def snapshots(self) -> "SnapshotStore":
        """The store of what was extracted."""
        from penstock.snapshots.store import SnapshotStore

        return SnapshotStore(self.settings.snapshots)

    @cached_property
    def artifacts(self) -> "ArtifactStore":
        """The store of model files."""
        from penstock.releases.artifacts import ArtifactStore

        return ArtifactStore(self.settings.artifacts)

    @cached_property
    def cards(self) -> "CardStore":
        """The cards beside the model files."""
        from penstock.releases.cards import CardStore

        return CardStore(self.settings.artifacts)

    def demand_model(self, name: str) -> None:
        """ContractError, which names those that exist, if no contract is of this model."""
        self.contracts.demand(name)
