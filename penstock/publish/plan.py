"""What a publish would do, before anything runs."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

import msgspec

from penstock.declare.table import ReplicatedTable
from penstock.extract.in_parts import part_ranges
from penstock.extract.incremental import (
    WATERMARK,
    changes_query,
    extendable,
    full_because,
    greatest_watermark,
    recipe_of,
    unchanged,
)
from penstock.postgres.book import Book
from penstock.postgres.pointer import pointer
from penstock.snapshots.snapshot import EXTRACTED
from penstock.snapshots.store import Snapshot, SnapshotStore
from penstock.store_url import shown_store
from penstock.warehouse.estimate import Estimate, estimate
from penstock.warehouse.interface import Warehouse
from penstock.warehouse.unload import UnloadSource

ROWS_PER_SECOND = 465_000
"""How fast sorted rows of Postgres become a verified snapshot: `make bench-extract`, see docs/warehouses.md."""
Action = Literal["unchanged", "incremental", "full"]
BookAction = Literal["nothing", "load", "load if changed"]


class TablePlan(msgspec.Struct, frozen=True):
    """What a publish of one table would do. None and empty texts are unknown, or do not apply.

    - `action`: what of the table would be extracted, and `why` not less.
    - `prepares`: the preparations that would run first, in this order. The estimate is of their tables as they are.
    - `rows`, `bytes`: what would be extracted, by the planner of the warehouse. `parts`: in how many queries.
    - `sorts`: where the rows get into the order of the key. `cost`: in the warehouse's own unit.
    - `seconds`: how long the extract would take. `seconds_from`: by which speed.
    - `unknown`: why the warehouse tells nothing.
    - `books`: what would be done in each.
    """

    table: str
    action: Action
    why: str
    prepares: tuple[str, ...]
    rows: int | None
    bytes: int | None
    parts: int
    sorts: str
    seconds: float | None
    seconds_from: str
    cost: str
    unknown: str
    books: dict[str, BookAction]


def plan(
    table: ReplicatedTable,
    warehouse: Warehouse,
    store: SnapshotStore,
    books: Iterable[Book],
    *,
    now: datetime,
    prepares: tuple[str, ...] = (),
) -> TablePlan:
    """What a publish of the table would do at this instant.

    - The warehouse is asked for the plan of the query, and for the result of the table's version query: nothing else.
    - A query that the warehouse refuses, as where the table that it reads is not prepared yet, is `unknown`.
    """
    last = store.latest(table.name)
    found = estimate(warehouse, table.query, key=table.key)
    action, why = _action(table, warehouse, last, found, now)
    if action == "incremental" and last is not None:
        since = greatest_watermark(last, table.watermark)
        found = estimate(warehouse, changes_query(table), {WATERMARK: since}, key=table.key)
    if action == "unchanged":
        found = Estimate(rows=0, row_bytes=0)
    row_bytes = last.manifest.stream_bytes // last.file_rows if last and last.file_rows else found.row_bytes
    seconds, by = _seconds(found.rows, store, table)
    return TablePlan(
        table=table.name,
        action=action,
        why=why,
        prepares=prepares,
        rows=found.rows,
        bytes=found.rows * row_bytes if found.rows is not None and row_bytes is not None else None,
        parts=_parts(table, warehouse, action, found),
        sorts=_sorts(warehouse, action, found),
        seconds=seconds,
        seconds_from=by,
        cost=found.cost,
        unknown=found.unknown,
        books={book.name: _book_action(book, table, last, action) for book in books},
    )


def _action(
    table: ReplicatedTable, warehouse: Warehouse, last: Snapshot | None, found: Estimate, now: datetime
) -> tuple[Action, str]:
    """What would be extracted, and why not less. The version is not asked of a warehouse that refuses the query."""
    if found.unknown and last is None:
        return "full", "no snapshot with rows yet"
    recipe = recipe_of(table, warehouse)
    if last is not None and unchanged(table, recipe, last, now):
        return "unchanged", "the version query returns the same as at the last extract"
    why = full_because(table, recipe, last, now)
    if not why and extendable(table, recipe, last, now) is not None:
        if last is not None and greatest_watermark(last, table.watermark) is not None:
            return "incremental", "the version is another" if recipe.version else "the table has a watermark"
        why = "the last snapshot has no watermark that is not null"
    return "full", why


def _parts(table: ReplicatedTable, warehouse: Warehouse, action: Action, found: Estimate) -> int:
    """In how many queries the rows would be read; only a whole table is read in parts."""
    if action == "unchanged":
        return 0
    return len(part_ranges(warehouse, table)) or 1 if action == "full" and not found.unknown else 1


def _sorts(warehouse: Warehouse, action: Action, found: Estimate) -> str:
    """Where the rows get into the order of the key: those of an unload are sorted by whoever extracts."""
    if action == "full" and isinstance(warehouse, UnloadSource) and warehouse.unload_url:
        return f"here, after an unload to {shown_store(warehouse.unload_url)}"
    return found.sorts


def _seconds(rows: int | None, store: SnapshotStore, table: ReplicatedTable) -> tuple[float | None, str]:
    """How long an extract of this number of rows would take, and by which speed."""
    if rows is None:
        return None, ""
    for one in reversed(store.history(table.name)):
        if one.how == EXTRACTED and one.seconds and one.rows and one.query == table.query:
            return rows * one.seconds / one.rows, f"the full extract of {one.created:%Y-%m-%d %H:%M} UTC"
    return rows / ROWS_PER_SECOND, f"{ROWS_PER_SECOND:,} rows/s, without what the query itself takes"


def _book_action(book: Book, table: ReplicatedTable, last: Snapshot | None, action: Action) -> BookAction:
    """What would be done in a book: content that is current there already is not loaded again."""
    with book.connect() as connection:
        now = pointer(connection, table.name)
    if now is None:
        return "load"
    if action == "unchanged" and last is not None:
        return "nothing" if now.snapshot == last.id else "load"
    return "load if changed"
