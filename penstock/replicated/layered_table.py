"""A physical table in two layers: the table of a base snapshot, and a small one of the rows that are new or changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from penstock.contract.contract import Lookup
from penstock.declare.table import ReplicatedTable
from penstock.lookups.cost import index_columns
from penstock.postgres.pointer import table_record
from penstock.postgres.roles import hand_over
from penstock.replicated.digest import catalog_schema
from penstock.replicated.physical_table import PhysicalTable, delta_name, existing_indexes, free_name, untouched
from penstock.rows.types import postgres_columns, schema_text
from penstock.snapshots.snapshot import Snapshot


@dataclass(frozen=True)
class LayeredTable(PhysicalTable):
    """A view named `name` over the tables `base` and `delta`, both immutable.

    The view returns the rows of the base ordered by `ordered`, descending, so that an as-of lookup merges two indexes
    instead of sorting."""

    base: str
    ordered: tuple[str, ...] = ()

    @property
    def source(self) -> Snapshot:
        """What has to be loaded: the snapshot of the rows that are new or changed."""
        return self.snapshot.own

    @property
    def filled(self) -> str:
        """The table that is loaded: the delta."""
        return delta_name(self.name)

    @property
    def tables(self) -> Mapping[str, int]:
        """The tables that hold the rows, with the number of rows of each."""
        base = self.snapshot.base or self.snapshot
        return {self.base: base.rows, self.filled: self.snapshot.file_rows}

    def register(self, connection: psycopg.Connection) -> None:
        """Record the table with its layers. As long as the record exists, the base is kept."""
        connection.execute(
            """INSERT INTO replicated.physical_table (physical, table_name, snapshot, base, delta, ordered)
               VALUES (%s, %s, %s, %s, %s, %s)""",
            (self.name, self.table, self.snapshot.id, self.base, self.filled, list(self.ordered)),
        )

    def finish(self, connection: psycopg.Connection) -> None:
        """As for any physical table; then create the view."""
        super().finish(connection)
        query = layered_query(self.schema.names, self.key, self.base, self.filled, self.ordered)
        with connection.transaction():
            connection.execute(sql.SQL("CREATE VIEW {} AS {}").format(self.identifier, query))
            hand_over(connection, self.identifier)


def layered_query(
    names: Sequence[str], key: Sequence[str], base: str, delta: str, ordered: Sequence[str] = ()
) -> sql.Composed:
    """The query of the view: the rows of the delta, and those of the base whose key the delta does not have."""
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    same = sql.SQL(" AND ").join(sql.SQL("d.{0} = b.{0}").format(sql.Identifier(name)) for name in key)
    order = sql.SQL(", ").join(sql.SQL("{} DESC").format(sql.Identifier(name)) for name in ordered)
    return sql.SQL(
        "SELECT {0} FROM {1} UNION ALL (SELECT {0} FROM {2} b WHERE NOT EXISTS (SELECT FROM {1} d WHERE {3}){4}{5})"
    ).format(
        columns,
        sql.Identifier("replicated", delta),
        sql.Identifier("replicated", base),
        same,
        sql.SQL(" ORDER BY " if ordered else ""),
        order,
    )


def new_physical(connection: psycopg.Connection, table: ReplicatedTable, snapshot: Snapshot) -> PhysicalTable:
    """A physical table under a free name, not yet created. It is layered if the book has the snapshot's base, with what
    this declaration needs; else it takes all rows."""
    name = free_name(connection, table.name, snapshot)
    return _physical(name, table, snapshot, _base_in_book(connection, table, snapshot))


def existing_physical(
    connection: psycopg.Connection, name: str, table: ReplicatedTable, snapshot: Snapshot
) -> PhysicalTable:
    """The physical table of this name that holds the snapshot."""
    record = table_record(connection, name)
    return _physical(name, table, snapshot, record.base if record else None)


def _physical(name: str, table: ReplicatedTable, snapshot: Snapshot, base: str | None) -> PhysicalTable:
    if base is None:
        return PhysicalTable(name, table.name, snapshot)
    return LayeredTable(name, table.name, snapshot, base, next(iter(_orders(table.lookups)), ()))


def layers(connection: psycopg.Connection, name: str) -> tuple[str, ...]:
    """The tables that hold the rows of a physical table: base and delta, or itself."""
    record = table_record(connection, name)
    return record.layers if record else (name,)


def has_indexes(connection: psycopg.Connection, tables: Sequence[str], table: ReplicatedTable) -> bool:
    """Whether each of the tables has the key and every declared index."""
    wanted = {table.key, *map(tuple, table.indexes)}
    return all(wanted <= (existing_indexes(connection, name) or set()) for name in tables)


def _base_in_book(connection: psycopg.Connection, table: ReplicatedTable, snapshot: Snapshot) -> str | None:
    """The physical table of the snapshot's base; None unless all of this is so:

    - It was published in this book, and has every declared index.
    - It holds exactly the rows that its load wrote.
    - The declared as-of lookups read in one order, which is all that a view can have."""
    if snapshot.base is None or len(_orders(table.lookups)) > 1:
        return None
    found = connection.execute(
        """SELECT p.physical FROM replicated.physical_table p
           WHERE p.table_name = %s AND p.snapshot = %s AND p.delta IS NULL
               AND EXISTS (SELECT FROM replicated.publication l
                           WHERE l.table_name = p.table_name AND l.physical = p.physical AND l.at >= p.created_at)
           ORDER BY p.created_at DESC LIMIT 1""",
        (table.name, snapshot.base.id),
    ).fetchone()
    if found is None or not has_indexes(connection, found, table):
        return None
    if catalog_schema(connection, found[0]) != schema_text(postgres_columns(snapshot.schema), snapshot.key):
        return None
    return str(found[0]) if untouched(connection, found[0], snapshot.base.rows) else None


def _orders(lookups: Sequence[Lookup]) -> dict[tuple[str, ...], None]:
    """The different orders in which as-of lookups read."""
    return dict.fromkeys(index_columns(lookup) for lookup in lookups if lookup.as_of)
