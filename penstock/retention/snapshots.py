"""Which snapshots the store may drop: not the newest of each table, not the young ones, none that is needed."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from penstock.postgres.book import Book
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
            rows = connection.execute(
                """SELECT snapshot FROM replicated.current
                   UNION SELECT training_snapshot FROM app.release UNION SELECT holdout_snapshot FROM app.release"""
            )
            needed |= {snapshot for (snapshot,) in rows}
    return needed


def replayed_from(books: Iterable[Book], within: timedelta) -> set[str]:
    """The ids of the snapshots that predictions of the last `within` may have looked up: those that were current when
    at least one prediction was journaled. One probe of the journal's key per publication, however long the journal."""
    found: set[str] = set()
    for book in books:
        with book.connect() as connection:
            rows = connection.execute(
                """WITH reign AS (
                       SELECT snapshot, at AS since, lead(at) OVER (PARTITION BY table_name ORDER BY entry) AS until
                       FROM replicated.publication)
                   SELECT DISTINCT reign.snapshot
                   FROM reign CROSS JOIN LATERAL (
                       SELECT FROM app.prediction p
                       WHERE p.id >= app.first_id(greatest(reign.since, now() - %(within)s))
                         AND p.id < app.first_id(coalesce(reign.until, now()) + %(late)s) LIMIT 1) AS made
                   WHERE coalesce(reign.until, now()) + %(late)s > now() - %(within)s""",
                {"within": within, "late": _LATE},
            ).fetchall()
        found |= {snapshot for (snapshot,) in rows}
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
