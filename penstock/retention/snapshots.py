"""Which snapshots the store may drop: not the newest of each table, not the young ones, none that is needed."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from penstock.journal.reading import looked_up_in
from penstock.postgres.book import Book
from penstock.postgres.pointer import pointers
from penstock.releases.entry import released_from
from penstock.snapshots.store import Manifest, SnapshotStore

KEEP = 5
YOUNG = timedelta(days=30)
_LATE = timedelta(minutes=5)
"""Slack after a switch: requests that had begun, or clock skew, may still refer to the previous snapshot."""


def needed_by(books: Iterable[Book]) -> set[str]:
    """The ids of the snapshots that are current in a book, or that a release in it was trained or judged on."""
    needed: set[str] = set()
    for book in books:
        with book.connect() as connection:
            needed |= {pointer.snapshot for pointer in pointers(connection).values()}
            needed |= released_from(connection)
    return needed


def replayed_from(books: Iterable[Book], within: timedelta) -> set[str]:
    """The ids of the snapshots that predictions of the last `within` may have looked up."""
    found: set[str] = set()
    for book in books:
        with book.connect() as connection:
            found |= looked_up_in(connection, within, _LATE)
    return found


def superseded(
    store: SnapshotStore, needed: set[str], now: datetime, *, keep: int = KEEP, young: timedelta = YOUNG
) -> list[Manifest]:
    """The snapshots that can be dropped, oldest first. Of every table these stay:

    - the newest `keep`, those younger than `young`, and those among `needed`;
    - the base of one that stays;
    - content that another table keeps."""
    last: dict[str, Manifest] = {}
    kept = set(needed)
    for name in store.names():
        newest = {manifest.id: manifest for manifest in store.history(name)}
        by_age = sorted(newest.values(), key=lambda manifest: manifest.created, reverse=True)
        kept |= {one.id for place, one in enumerate(by_age) if place < keep or now - one.created < young}
        last |= newest
    kept |= {one.base for one in last.values() if one.id in kept}
    return sorted((one for one in last.values() if one.id not in kept), key=lambda manifest: manifest.created)


def drop(store: SnapshotStore, snapshots: Sequence[Manifest]) -> int:
    """Drop snapshots, and return the bytes that this freed."""
    for manifest in snapshots:
        store.remove(manifest.id)
    return sum(manifest.bytes for manifest in snapshots)
