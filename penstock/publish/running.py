"""Whether the running service looks up what a publish would take away."""

from collections.abc import Iterable, Sequence

import msgspec

from penstock.client import Client, ServiceError
from penstock.contract.contract import Lookup
from penstock.declare.derived_shape import OF_KIND
from penstock.declare.table import ReplicatedTable
from penstock.postgres.book import Book
from penstock.postgres.pointer import pointer
from penstock.replicated.digest import catalog_schema
from penstock.replicated.error import PublishError
from penstock.rows.types import described, postgres_columns
from penstock.settings import API_KEY, api_key
from penstock.snapshots.snapshot import Snapshot

ASK_SECONDS = 2.0


class _Contract(msgspec.Struct):
    lookups: tuple[Lookup, ...] = ()


def demand_not_looked_up(url: str, group: Iterable[tuple[Snapshot, ReplicatedTable]], books: Sequence[Book]) -> None:
    """PublishError where a publish takes away a column, or its type, that the service at `url` looks up now.

    The service is asked only where something is taken away. Where none runs, nothing is looked up.
    """
    changed = [pair for pair in group if any(_takes_away(book, *pair) for book in books)]
    if not changed:
        return
    lookups = _running_lookups(url)
    faults = [
        f"model {model!r} looks up {', '.join(lost)} of table {table.name!r}"
        for snapshot, table in changed
        for model, lookup in lookups
        if lookup.table == table.name and (lost := _lost(lookup, snapshot))
    ]
    if faults:
        raise PublishError(
            "publish",
            expected="every column that the running service looks up",
            found="; ".join(faults),
            todo="Deploy code that does not look it up first (`penstock train`, then `penstock deploy`), or keep the "
            "column in the table's query. Nothing was changed.",
        )


def _takes_away(book: Book, snapshot: Snapshot, table: ReplicatedTable) -> bool:
    """Whether the book's current content has a column that the snapshot does not have in the same type."""
    with book.connect() as connection:
        now = pointer(connection, table.name)
        if now is None or now.snapshot == snapshot.id:
            return False
        columns, _ = described(catalog_schema(connection, now.physical))
    return bool(set(columns) - set(postgres_columns(snapshot.schema)))


def _running_lookups(url: str) -> list[tuple[str, Lookup]]:
    """Each lookup of the models that the service serves, with the model's name."""
    key = api_key()
    try:
        with Client(url, "", key=key, timeout=ASK_SECONDS, repeat=False) as client:
            models = client.models()
        found: list[tuple[str, Lookup]] = []
        for model in models:
            with Client(url, model, key=key, timeout=ASK_SECONDS, repeat=False) as client:
                contract = msgspec.json.decode(client.contract(), type=_Contract)
            found += [(model, lookup) for lookup in contract.lookups]
    except ServiceError as error:
        if error.status == 0:
            return []
        raise PublishError(
            "publish",
            expected="the running service to say which columns it looks up, because some would be taken away",
            found=error.found,
            todo=f"Set {API_KEY}. Nothing was changed." if error.status == 401 else "Nothing was changed.",
        ) from error
    return found


def _lost(lookup: Lookup, snapshot: Snapshot) -> list[str]:
    """The columns of a lookup that the snapshot does not have, or not of their kind."""
    names = set(snapshot.schema.names)
    joined = [*lookup.key, *(lookup.as_of or ())[:1]]
    lost = [repr(name) for name in joined if name not in names]
    return lost + [
        repr(column.name)
        for column in lookup.columns
        if column.name not in names or not OF_KIND[column.kind][1](snapshot.schema.field(column.name).type)
    ]
