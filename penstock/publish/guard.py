"""The checks before a load: names and columns, number of rows, and that PROD follows TEST."""

from collections.abc import Iterable, Sequence

from penstock.declare.table import ReplicatedTable
from penstock.postgres.book import Book
from penstock.postgres.pointer import Pointer, pointer
from penstock.replicated.error import PublishError
from penstock.snapshots.store import Snapshot

OWN_TABLES = frozenset({"current", "publication", "physical_table"})


def check_declaration(snapshot: Snapshot, table: ReplicatedTable) -> None:
    """PublishError if the snapshot lacks what the declaration of the table needs."""
    name = table.name
    if not name or "\0" in name or len(name.encode()) > 63 or name in OWN_TABLES:
        raise PublishError(
            f"table name {name!r}",
            expected=f"1 to 63 bytes, and none of {', '.join(sorted(OWN_TABLES))}",
            found=repr(name),
            todo="Rename the replicated table.",
        )
    if table.key != snapshot.key:
        raise PublishError(
            f"key of table {name!r}",
            expected=f"{', '.join(table.key)} as declared",
            found=f"{', '.join(snapshot.key)} in snapshot {snapshot.id[:12]}",
            todo="Extract the table again.",
        )
    wanted = {f"index of {name!r}": columns for columns in table.indexes}
    for lookup in table.lookups:
        columns = (*lookup.key, *(column.name for column in lookup.columns))
        wanted[f"lookup {lookup.name!r} of {name!r}"] = columns + ((lookup.as_of[0],) if lookup.as_of else ())
    for thing, columns in wanted.items():
        for column in columns:
            if column not in snapshot.schema.names:
                raise PublishError(
                    thing,
                    expected=f"a column among {', '.join(snapshot.schema.names)}",
                    found=repr(column),
                    todo="Select the column in the table's query or correct the declaration.",
                )


def check_rows(snapshot: Snapshot, table: ReplicatedTable, book: Book, now: Pointer | None) -> None:
    """PublishError if the snapshot has fewer rows than declared, or far fewer than the book has now."""
    if snapshot.rows < table.minimum_rows:
        raise PublishError(
            f"rows of table {table.name!r}",
            expected=f"at least {table.minimum_rows}",
            found=str(snapshot.rows),
            todo="Look at the extract; nothing was changed.",
        )
    if now is not None and snapshot.rows < now.rows * (1 - table.largest_drop):
        raise PublishError(
            f"rows of table {table.name!r} in book {book.name!r}",
            expected=f"at most {table.largest_drop:.0%} fewer than the current {now.rows}",
            found=str(snapshot.rows),
            todo="Look at the extract; nothing was changed. If the drop is right, raise largest_drop once.",
        )


def in_order(books: Iterable[Book]) -> list[Book]:
    """The books with TEST before PROD."""
    return sorted(books, key=lambda book: book.name != "test")


def check_test_first(snapshot: Snapshot, table: ReplicatedTable, books: Sequence[Book], proven_in: Book | None) -> None:
    """PublishError if PROD takes part and TEST does not, unless this snapshot is current in TEST."""
    names = {book.name for book in books}
    if "prod" not in names or "test" in names:
        return
    if proven_in is not None:
        with proven_in.connect() as connection:
            now = pointer(connection, table.name)
        if now is not None and now.snapshot == snapshot.id:
            return
        found = f"snapshot {now.snapshot[:12]} current in TEST" if now else "no such table in TEST"
    else:
        found = "no TEST book to ask"
    raise PublishError(
        f"publish of {table.name!r} to PROD",
        expected=f"snapshot {snapshot.id[:12]} current in TEST first",
        found=found,
        todo="Publish to TEST, or to both at once.",
    )
