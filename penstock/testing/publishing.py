"""Rows that are published into a book, and models that are released in it, as the pipeline does both."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from penstock.artifact.packing.pack import pack
from penstock.contract.contract import Contract
from penstock.declare.shape import shape_check, shape_text
from penstock.declare.table import ReplicatedTable
from penstock.postgres.book import Book
from penstock.publish.publish import publish
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.entry import LedgerEntry
from penstock.releases.ledger import Proposal, Verdict, release
from penstock.snapshots.store import Recipe, Snapshot, SnapshotStore
from penstock.testing.environment import System
from penstock.testing.warehouse import Rows, as_arrow

WHO = "penstock.testing"


def publish_rows(book: Book, store: SnapshotStore, table: ReplicatedTable, rows: Rows, *, as_of: datetime) -> Snapshot:
    """Make rows the current content of a replicated table, through a snapshot of them. Returns the snapshot.

    The rows must have the declared shape and a unique key. Their order does not matter, nor how few they are, nor how
    many there were before.
    """
    arrow = as_arrow(rows).sort_by([(column, "ascending") for column in table.key])
    snapshot = store.write(
        table.name,
        arrow.to_reader(),
        Recipe(table.query, table.key, shape_text(table.rows_shape)),
        as_of=as_of,
        check=shape_check(table.rows_shape, table.name),
    )
    publish(snapshot, replace(table, minimum_rows=0, largest_drop=1.0), [book], who=WHO)
    return snapshot


def release_model(book: Book, store: ArtifactStore, contract: Contract, estimator: Any, period: str) -> LedgerEntry:
    """Make a fitted estimator the current release of the contract's model, past every gate. Returns the ledger entry.

    The estimator takes the contract's features, in their order.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.artifact"
        pack(estimator, path, features=contract.features, metadata={"period": period})
        digest = store.put(path)
    proposal = Proposal(contract.model, digest, contract.digest(), period, "", "", {}, WHO)
    return release(book, proposal, lambda _: Verdict("release", {}), who=WHO, why="a test needs one")


@pytest.fixture
def publish_into_book(system: System) -> Callable[[ReplicatedTable, Rows], Snapshot]:
    """A function that publishes rows into the TEST book of `system`, as of its clock; see `publish_rows`."""

    def publish_now(table: ReplicatedTable, rows: Rows) -> Snapshot:
        return publish_rows(system.test, system.snapshots, table, rows, as_of=system.clock.now)

    return publish_now


@pytest.fixture
def release_in_book(system: System) -> Callable[[Contract, Any], LedgerEntry]:
    """A function that releases a fitted estimator in the TEST book of `system`; see `release_model`."""

    def release_now(contract: Contract, estimator: Any) -> LedgerEntry:
        period = f"{system.clock.now:%Y-%m}"
        return release_model(system.test, system.artifacts, contract, estimator, period)

    return release_now
