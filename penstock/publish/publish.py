"""Publish: load a snapshot into books and make it current, or leave everything as it was."""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from penstock.declare.table import ReplicatedTable
from penstock.postgres.book import Book
from penstock.publish.copy_fan import fan_out
from penstock.publish.guard import check_declaration, check_rows, check_test_first, in_order
from penstock.publish.publication import Publication
from penstock.publish.running import demand_not_looked_up
from penstock.publish.switch import Switch, switch
from penstock.publish.table_load import TableLoad
from penstock.snapshots.proof import Proof
from penstock.snapshots.snapshot import Snapshot

Progress = Callable[[str, int, int], None]
"""Called with the stage, the number of rows that are done, and the number of all rows."""


def publish(
    snapshot: Snapshot,
    table: ReplicatedTable,
    books: Iterable[Book],
    *,
    who: str,
    progress: Progress | None = None,
    proven_in: Book | None = None,
    service: str = "",
) -> list[Publication]:
    """Make `snapshot` the current content of `table` in all `books`, TEST before PROD.

    - The snapshot is read once, for all books.
    - Every book is loaded, indexed, verified, and its lookups tried, before the first book switches. Until then a
      failure leaves all books as they were.
    - Content that is current already is not loaded again.
    - PROD without TEST among `books` demands that the snapshot is current in `proven_in`, which is TEST.
    - With the URL of a `service`, no column is taken away that the service looks up.

    PublishError for what the declaration or the content forbids, psycopg.Error for a book that is away.
    """
    return publish_group([(snapshot, table)], books, who=who, progress=progress, proven_in=proven_in, service=service)


def publish_group(
    group: Sequence[tuple[Snapshot, ReplicatedTable]],
    books: Iterable[Book],
    *,
    who: str,
    progress: Progress | None = None,
    proven_in: Book | None = None,
    service: str = "",
) -> list[Publication]:
    """Publish several tables that become current together, in one transaction of each book. See `publish`."""
    report, ordered = progress or _silent, in_order(books)
    for snapshot, table in group:
        check_declaration(snapshot, table)
        check_test_first(snapshot, table, ordered, proven_in)
    if service:
        demand_not_looked_up(service, group, ordered)
    with contextlib.ExitStack() as stack:
        loadings = {
            book.name: [
                stack.enter_context(TableLoad.open(snapshot, table, book, lambda: report("waiting", 0, 0)))
                for snapshot, table in sorted(group, key=lambda pair: pair[1].name)
            ]
            for book in ordered
        }
        everything = [loading for of_book in loadings.values() for loading in of_book]
        for loading in everything:
            check_rows(loading.snapshot, loading.table, loading.book, loading.now)
        pending = [loading for loading in everything if not loading.is_current()]
        unfinished = list(pending)
        for loading in pending:
            loading.check_space()
        try:
            for _, table in group:
                _load([one for one in pending if one.table is table], report)
            _in_threads(pending, TableLoad.prepare)
            _in_threads([loading for loading in everything if loading not in pending], TableLoad.keep)
            for of_book in loadings.values():
                ready = [loading for loading in of_book if loading in pending]
                _switch(ready, who)
                unfinished = [loading for loading in unfinished if loading not in ready]
        except BaseException:
            for loading in unfinished:
                loading.abandon()
            raise
        return [loading.publication(skipped=loading not in pending) for loading in everything]


def _load(pending: Sequence[TableLoad], report: Progress) -> None:
    """Read one snapshot once, and load it into all books that need the same rows of it.

    SnapshotError if what was read is not what was stored."""
    for layered in (False, True):
        same = [one for one in pending if (one.physical.source is not one.snapshot) == layered]
        if not same:
            continue
        source = same[0].physical.source
        proof, rows = Proof(source), source.rows if source.base else source.file_rows

        def reported(done: int, rows: int = rows) -> None:
            report("loading", done, rows)

        fan_out(proof.chunks(reported), [loading.load for loading in same])
        for loading in same:
            loading.sent = proof.encoder.digest.stream


def _in_threads(loadings: Sequence[TableLoad], step: Callable[[TableLoad], None]) -> None:
    if loadings:
        with ThreadPoolExecutor(len(loadings), thread_name_prefix="publish") as pool:
            list(pool.map(step, loadings))


def _switch(ready: Sequence[TableLoad], who: str) -> None:
    if ready:
        switch(ready[0].connection, [Switch(one.physical, one.snapshot, one.size) for one in ready], who=who)
        for loading in ready:
            loading.switched()


def _silent(_stage: str, _done: int, _rows: int) -> None:
    return None
