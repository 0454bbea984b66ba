"""A home with a warehouse, stores and both books, which the environment names: what commands and assets read."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from penstock import settings
from penstock.declare.table import ReplicatedTable
from penstock.extract.extract import extract
from penstock.postgres import roles
from penstock.postgres.book import Book
from penstock.releases.artifacts import ArtifactStore
from penstock.settings import Settings
from penstock.snapshots.store import Snapshot, SnapshotStore
from penstock.testing.books import as_member, create_book, create_database
from penstock.testing.time import NOON, Clock
from penstock.testing.warehouse import Tables, write_tables
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from penstock.warehouse.opening import open_warehouse

NO_SERVER = "postgresql://127.0.0.1:1/none"


@dataclass(frozen=True)
class System:
    """A home of its own with both books, at the time of a clock.

    What the environment names may do what the pipeline does and nothing else; `test` and `prod` may do anything.
    """

    home: Path
    test: Book
    prod: Book
    clock: Clock

    @property
    def settings(self) -> Settings:
        """The settings as a command or an asset that begins now loads them."""
        return settings.load()

    @property
    def snapshots(self) -> SnapshotStore:
        """The store of what was extracted."""
        return SnapshotStore(self.settings.snapshots)

    @property
    def artifacts(self) -> ArtifactStore:
        """The store of packed models."""
        return ArtifactStore(self.settings.artifacts)

    @property
    def warehouse(self) -> DuckDBWarehouse:
        """The warehouse of the home, as of now."""
        return DuckDBWarehouse(str(self.settings.warehouse_file), now=self.clock.now)

    def extract(self, table: ReplicatedTable) -> Snapshot:
        """The snapshot of a replicated table as it is in the warehouse now; see `penstock.extract.extract`."""
        return extract(table, open_warehouse(self.settings), self.snapshots, self.clock.now)

    def write_tables(self, tables: Tables) -> None:
        """Write rows into the warehouse of the home, by table; see `penstock.testing.warehouse.write_tables`."""
        write_tables(self.warehouse, tables)


@pytest.fixture
def system(tmp_path: Path, book: Book, prod_book: Book, clock: Clock) -> Iterator[System]:
    """A home below `tmp_path` over `book` and `prod_book`, at the time of `clock`; the environment names it.

    Dagster has no storage in it: its URL names a server that does not exist.
    """
    with pytest.MonkeyPatch.context() as environment:
        found = System(tmp_path, book, prod_book, clock)
        _name(found, NO_SERVER, environment)
        yield found


@contextmanager
def new_system(postgres: str, home: Path, now: datetime = NOON) -> Iterator[System]:
    """A home over two new books and a database for Dagster, for fixtures of a wider scope than one test.

    The environment names it while the context is open, for the tests in between that have no system of their own.
    """
    with pytest.MonkeyPatch.context() as environment:
        test, prod = create_book(postgres, "test"), create_book(postgres, "prod")
        found = System(home, test, prod, Clock(environment, now))
        _name(found, create_database(postgres), environment)
        yield found


def _name(system: System, dagster_url: str, environment: pytest.MonkeyPatch) -> None:
    for name in ("WAREHOUSE_URL", "SNAPSHOTS_URL", "ARTIFACTS_URL"):
        environment.delenv(f"PENSTOCK_{name}", raising=False)
    test, prod = (as_member(book, roles.PIPELINE).url for book in (system.test, system.prod))
    values = {"HOME": str(system.home), "TEST_URL": test, "PROD_URL": prod, "DAGSTER_URL": dagster_url}
    for name, value in values.items():
        environment.setenv(f"PENSTOCK_{name}", value)
