"""What changes under a running service: a second release, and a second content for every looked-up table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any

from penstock.declare.model import Model
from penstock.declare.table import ReplicatedTable
from penstock.postgres.book import Book, Books
from penstock.postgres.pointer import pointers
from penstock.publish.publish import publish
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.ledger import Proposal, Verdict, current, release, rollback
from penstock.settings import Settings
from penstock.snapshots.store import Recipe, Snapshot, SnapshotStore

MONTH = "2026-10"
WHO = "chaos"


@dataclass(frozen=True)
class Changes:
    """Two releases of one model and two snapshots of each of its tables, to go to and fro between."""

    model: Model
    books: Books
    second: Proposal
    contents: Mapping[str, tuple[ReplicatedTable, "cycle[Snapshot]"]]

    def release(self) -> int:
        """Make the second release current in both books; gives its number."""
        entries = [release(book, self.second, _let_through, who=WHO, why="a switch") for book in self.books]
        return entries[0].release

    def roll_back(self) -> int:
        """Make the first release current again; gives its number."""
        entries = [rollback(book, self.model.contract.model, who=WHO, why="the way back") for book in self.books]
        return entries[0].release

    def publish(self, name: str) -> None:
        """Publish the other content of one table into both books."""
        table, snapshots = self.contents[name]
        publish(next(snapshots), table, self.books, who=WHO)


def changes(settings: Settings) -> Changes:
    """Train the second release (smaller than the first), and write each table once more without its last row."""
    from penstock.declare.discovery import declared
    from penstock.training.candidate import make_candidate
    from penstock.training.run import TrainingRun

    model = declared().model("flight_delay")
    books = Books(Book("test", settings.test_url), Book("prod", settings.prod_url))
    store = SnapshotStore(settings.snapshots)
    first = current(books.prod, model.contract.model)
    assert first is not None
    candidate = make_candidate(
        replace(model, estimator=_smaller(model.estimator)),
        MONTH,
        store.open(first.training_snapshot),
        TrainingRun(settings, model, MONTH).held_out(first.holdout_snapshot),
        ArtifactStore(settings.artifacts),
        code_version="chaos",
    )
    contents = {}
    with books.prod.connect() as connection:
        published = pointers(connection)
    for table in declared().tables_for(model):
        now = store.open(published[table.name].snapshot)
        rows = now.batches().read_all()
        other = store.write(
            table.name, rows.slice(0, rows.num_rows - 1).to_reader(), Recipe(WHO, table.key), as_of=now.as_of
        )
        contents[table.name] = (table, cycle([other, now]))
    return Changes(model, books, candidate.proposal, contents)


def _smaller(estimator: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: estimator().set_params(max_iter=60, max_depth=2)


def _let_through(_: object) -> Verdict:
    return Verdict("override", {"reasons": ["a benchmark's switch"]})
