"""Publish: load a snapshot into books and make it current, or leave everything as it was."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from resources.book import Book
from resources.column_types import postgres_columns, schema_text
from resources.copy_fan import fan_out
from resources.copy_stream import CopyEncoder
from resources.loading import Loading
from resources.publication import Publication
from resources.publish_error import PublishError
from resources.publish_guard import check_declaration, check_rows, check_test_first, in_order
from resources.snapshots import Snapshot
from resources.switch import Switch, switch
from resources.table import ReplicatedTable

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many of its rows are done, and how many there are."""


def publish(
    snapshot: Snapshot,
    table: ReplicatedTable,
    books: Sequence[Book],
    *,
    who: str,
    progress: Progress | None = None,
    proven_in: Book | None = None,
) -> list[Publication]:
    """Make `snapshot` the current content of `table` in all `books`, TEST before PROD; one read loads them all.

    Every book is loaded, indexed, verified and checked for feasibility before the first one switches; until then
    any failure leaves all of them as they were. Content that is current already is not loaded again. PROD without
    TEST among `books` demands that TEST, given as `proven_in`, has this snapshot current.

    Raises PublishError for what the declaration or the content forbids, psycopg.Error for a book that is away.
    """
    return publish_group([(snapshot, table)], books, who=who, progress=progress, proven_in=proven_in)


def publish_group(
    group: Sequence[tuple[Snapshot, ReplicatedTable]],
    books: Sequence[Book],
    *,
    who: str,
    progress: Progress | None = None,
    proven_in: Book | None = None,
) -> list[Publication]:
    """Publish several tables that become current together, in one transaction per book. See `publish`."""
    report = progress or _silent
    for snapshot, table in group:
        check_declaration(snapshot, table)
        check_test_first(snapshot, table, books, proven_in)
    with contextlib.ExitStack() as stack:
        loadings = {
            book.name: [
                stack.enter_context(Loading.open(snapshot, table, book, lambda: report("waiting", 0, 0)))
                for snapshot, table in sorted(group, key=lambda pair: pair[1].name)
            ]
            for book in in_order(books)
        }
        everything = [loading for of_book in loadings.values() for loading in of_book]
        for loading in everything:
            check_rows(loading.snapshot, loading.table, loading.book, loading.now)
        pending = [loading for loading in everything if not loading.is_current()]
        unfinished = list(pending)
        for loading in pending:
            loading.check_space()
        try:
            for snapshot, table in group:
                _load(snapshot, [one for one in pending if one.table is table], report)
            _in_threads(pending, Loading.prepare)
            _in_threads([loading for loading in everything if loading not in pending], Loading.keep)
            for of_book in loadings.values():
                ready = [loading for loading in of_book if loading in pending]
                _switch(ready, who)
                unfinished = [loading for loading in unfinished if loading not in ready]
        except BaseException:
            for loading in unfinished:
                loading.abandon()
            raise
        return [loading.publication(skipped=loading not in pending) for loading in everything]


def _load(snapshot: Snapshot, pending: Sequence[Loading], report: Progress) -> None:
    """Read the snapshot once, into all books; PublishError if what was read is not what was stored."""
    if not pending:
        return
    encoder = CopyEncoder(snapshot.schema)
    chunks = encoder.chunks(_reported(snapshot, report))

    def checked() -> Iterator[bytes]:
        yield from chunks
        found = encoder.digest.id(schema_text(postgres_columns(snapshot.schema), snapshot.key))
        if found != snapshot.id:
            raise PublishError(
                f"snapshot {snapshot.id[:12]} of table {snapshot.name!r} in the store",
                expected=f"content with digest {snapshot.id}",
                found=found,
                todo="The stored file was changed. Extract the table again; nothing was changed in the books.",
            )

    fan_out(checked(), [loading.load for loading in pending])


def _reported(snapshot: Snapshot, report: Progress) -> Iterator[pa.RecordBatch]:
    done = 0
    for batch in snapshot.batches():
        yield batch
        done += batch.num_rows
        report("loading", done, snapshot.rows)


def _in_threads(loadings: Sequence[Loading], step: Callable[[Loading], None]) -> None:
    if loadings:
        with ThreadPoolExecutor(len(loadings), thread_name_prefix="publish") as pool:
            list(pool.map(step, loadings))


def _switch(ready: Sequence[Loading], who: str) -> None:
    if ready:
        switch(ready[0].connection, [Switch(one.physical, one.snapshot, one.size) for one in ready], who=who)
        for loading in ready:
            loading.switched()


def _silent(_stage: str, _done: int, _rows: int) -> None:
    return None
