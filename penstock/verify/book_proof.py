"""Proof that a physical table in a book, and the views over it, are what their pointer says."""

from collections.abc import Callable, Sequence

import psycopg

from penstock.postgres.pointer import Pointer, table_record
from penstock.replicated.digest import catalog_schema, table_digest
from penstock.replicated.layered_table import layered_query, layers
from penstock.replicated.view import public_query, view_finding
from penstock.rows.copy_stream import StreamDigest
from penstock.rows.types import described, postgres_columns, schema_text
from penstock.snapshots.snapshot import Snapshot, SnapshotError
from penstock.snapshots.store import SnapshotStore
from penstock.verify.difference import first_difference

_GONE = "differs from its digest; the snapshot to compare with cannot be read from the store"


def prove(connection: psycopg.Connection, store: SnapshotStore, pointer: Pointer, content: str) -> tuple[str, str]:
    """The snapshot id of what the book holds (empty if it cannot be read), and what is wrong (empty if nothing).

    `content` is the digest of the COPY stream of the stored snapshot. A table that took all rows of a snapshot with a
    base is compared with it."""
    try:
        parts = layers(connection, pointer.physical)
        if len(parts) == 2:
            digest, finding = _prove_layers(connection, store, pointer, parts)
        else:
            digest, finding = _prove_table(connection, store, pointer, content)
        findings = [finding, _views(connection, pointer, parts)]
        return digest, "; ".join(one for one in findings if one)
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        return "", str(error.diag.message_primary)


def _prove_table(
    connection: psycopg.Connection, store: SnapshotStore, pointer: Pointer, content: str
) -> tuple[str, str]:
    snapshot, schema = _opened(store, pointer.snapshot), catalog_schema(connection, pointer.physical)
    right_schema = snapshot is None or schema == schema_text(postgres_columns(snapshot.schema), snapshot.key)

    def right(digest: StreamDigest) -> bool:
        return right_schema and (digest.id(schema) == pointer.snapshot or digest.stream == content)

    digest = _digest(connection, pointer.physical, snapshot, right)
    if right(digest):
        return pointer.snapshot, ""
    return digest.id(schema), first_difference(connection, pointer.physical, snapshot) if snapshot else _GONE


def _prove_layers(
    connection: psycopg.Connection, store: SnapshotStore, pointer: Pointer, parts: Sequence[str]
) -> tuple[str, str]:
    """The id is made of the digests of base and delta, so both are proved without the store."""
    base, delta = parts
    snapshot = _opened(store, pointer.snapshot)
    record = table_record(connection, base)
    base_id = record.snapshot if record else ""
    schemas = catalog_schema(connection, base), catalog_schema(connection, delta)

    def right_base(digest: StreamDigest) -> bool:
        return digest.id(schemas[0]) == base_id

    def right_delta(digest: StreamDigest) -> bool:
        return schemas[0] == schemas[1] and digest.id(schemas[1], base_id) == pointer.snapshot

    below = _digest(connection, base, snapshot, right_base)
    upper = _digest(connection, delta, snapshot, right_delta)
    findings = []
    for name, part, right in (("base", below, right_base), ("delta", upper, right_delta)):
        if right(part):
            continue
        table, rows = (base, snapshot and snapshot.base) if name == "base" else (delta, snapshot and snapshot.own)
        findings.append(f"{name} {table}: {first_difference(connection, table, rows) if rows else _GONE}")
    return upper.id(schemas[1], below.id(schemas[0])), "; ".join(findings)


def _digest(
    connection: psycopg.Connection, table: str, snapshot: Snapshot | None, right: Callable[[StreamDigest], bool]
) -> StreamDigest:
    """The digest of the rows as they lie; if that is not `right`, in the order of the key.

    A row that was updated to the same values lies elsewhere, but is not different."""
    digest = table_digest(connection, table)
    if right(digest) or snapshot is None:
        return digest
    try:
        return table_digest(connection, table, snapshot.key)
    except psycopg.errors.UndefinedColumn:
        return digest


def _opened(store: SnapshotStore, snapshot_id: str) -> Snapshot | None:
    try:
        return store.open(snapshot_id)
    except (SnapshotError, OSError, ValueError):
        return None


def _views(connection: psycopg.Connection, pointer: Pointer, parts: Sequence[str]) -> str:
    """What is wrong with the view for people, and with the view over base and delta."""
    columns, key = described(catalog_schema(connection, parts[0]))
    names = [name for name, _ in columns]
    wanted = {pointer.table: public_query(names, pointer.physical)}
    if len(parts) == 2:
        record = table_record(connection, pointer.physical)
        ordered = record.ordered if record else None
        wanted[pointer.physical] = layered_query(names, key, parts[0], parts[1], ordered or ())
    findings = [view_finding(connection, name, query) for name, query in wanted.items()]
    return "; ".join(finding for finding in findings if finding)
