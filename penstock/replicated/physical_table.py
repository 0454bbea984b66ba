"""One immutable table of the schema `replicated` that holds exactly one snapshot."""

import select
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import psycopg
import pyarrow as pa
from psycopg import sql

from penstock.postgres.roles import hand_over
from penstock.postgres.sockets import widen
from penstock.rows.types import postgres_columns
from penstock.snapshots.store import Snapshot

_LONGEST_STEM = 36
_PIECE = 128 << 10
"""Bytes that libpq gets at once."""


@dataclass(frozen=True)
class PhysicalTable:
    """A physical table by name, with the snapshot that it holds or will hold."""

    name: str
    table: str
    snapshot: Snapshot

    @property
    def identifier(self) -> sql.Identifier:
        """The quoted, qualified name."""
        return sql.Identifier("replicated", self.name)

    @property
    def schema(self) -> pa.Schema:
        """The columns."""
        return self.snapshot.schema

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of the primary key."""
        return self.snapshot.key

    @property
    def source(self) -> Snapshot:
        """What has to be loaded."""
        return self.snapshot

    @property
    def filled(self) -> str:
        """The table that is loaded."""
        return self.name

    @property
    def tables(self) -> Mapping[str, int]:
        """The tables that hold the rows, with the number of rows of each."""
        return {self.name: self.snapshot.rows}

    def load(self, connection: psycopg.Connection, chunks: Iterable[bytes]) -> None:
        """Create the table and copy `chunks` into it, in one transaction.

        COPY FREEZE marks the rows visible to every transaction, so that a reader whose own snapshot is older
        than the load never finds the table empty, and vacuum has nothing left to do.
        """
        with connection.transaction():
            self.register(connection)
            connection.execute(create_statement(self._filled, postgres_columns(self.schema), self.key))
            statement = sql.SQL("COPY {} FROM STDIN (FORMAT binary, FREEZE)").format(self._filled)
            copy_in(connection, statement, chunks)
            hand_over(connection, self._filled)

    def register(self, connection: psycopg.Connection) -> None:
        """Record the table, so that it is found if its publisher dies."""
        connection.execute(
            "INSERT INTO replicated.physical_table (physical, table_name, snapshot) VALUES (%s, %s, %s)",
            (self.name, self.table, self.snapshot.id),
        )

    def build_indexes(self, connection: psycopg.Connection, indexes: Sequence[tuple[str, ...]]) -> None:
        """Build the unique index of the key and the declared indexes. Reading the table goes on meanwhile."""
        create = sql.SQL("CREATE UNIQUE INDEX {} ON {} ({})")
        connection.execute(create.format(sql.Identifier(self._key_index), self._filled, _names(self.key)))
        for columns in indexes:
            connection.execute(sql.SQL("CREATE INDEX ON {} ({})").format(self._filled, _names(columns)))

    def finish(self, connection: psycopg.Connection) -> None:
        """Make the unique index the primary key, and gather statistics for the planner."""
        with connection.transaction():
            connection.execute(
                sql.SQL("ALTER TABLE {} ADD PRIMARY KEY USING INDEX {}").format(
                    self._filled, sql.Identifier(self._key_index)
                )
            )
            connection.execute(sql.SQL("ANALYZE {}").format(self._filled))

    @property
    def _filled(self) -> sql.Identifier:
        return sql.Identifier("replicated", self.filled)

    @property
    def _key_index(self) -> str:
        return f"{self.filled}_key"


def create_statement(
    table: sql.Identifier, columns: Sequence[tuple[str, str]], key: tuple[str, ...] = (), *, temporary: bool = False
) -> sql.Composed:
    """CREATE TABLE for columns by name and type; text compares byte by byte. Nothing in it will ever change, and
    COPY FREEZE leaves nothing to vacuum."""
    listed = [
        sql.SQL("{} {}{}").format(
            sql.Identifier(name),
            sql.SQL(f'{kind} COLLATE "C"' if kind == "text" else kind),
            sql.SQL(" NOT NULL" if name in key else ""),
        )
        for name, kind in columns
    ]
    return sql.SQL("CREATE {}TABLE {} ({}) WITH (autovacuum_enabled = off)").format(
        sql.SQL("TEMPORARY " if temporary else ""), table, sql.SQL(", ").join(listed)
    )


def free_name(connection: psycopg.Connection, table: str, snapshot: Snapshot) -> str:
    """A name made of table and snapshot that neither a relation nor a delta has."""
    stem = f"{table.encode()[:_LONGEST_STEM].decode(errors='ignore')}_{snapshot.id[:12]}"
    name, copies = stem, 1
    taken = "SELECT FROM pg_class WHERE relnamespace = 'replicated'::regnamespace AND relname = ANY(%s)"
    while connection.execute(taken, ([name, delta_name(name)],)).fetchone() is not None:
        copies += 1
        name = f"{stem}_{copies}"
    return name


def delta_name(name: str) -> str:
    """The name of the table of new and changed rows that belongs to a layered table."""
    return f"{name}_delta"


def existing_indexes(connection: psycopg.Connection, name: str) -> set[tuple[str, ...]] | None:
    """The columns of every index of a table; None if the table does not exist."""
    rows = connection.execute(
        """SELECT i.indexrelid IS NOT NULL, array_agg(a.attname::text ORDER BY k.place)
           FROM pg_class c LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisvalid
           LEFT JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, place) ON true
           LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
           WHERE c.relnamespace = 'replicated'::regnamespace AND c.relname = %s GROUP BY i.indexrelid""",
        (name,),
    ).fetchall()
    return {tuple(columns) for is_index, columns in rows if is_index} if rows else None


def untouched(connection: psycopg.Connection, name: str, rows: int) -> bool:
    """Whether a table holds exactly the `rows` rows that the transaction of its load wrote.

    - That transaction also wrote the record in `physical_table`, so the record's `xmin` names it.
    - Every row version names the transaction that wrote it, also after a vacuum: any later insert, update or delete
      shows.
    - This reads the headers of all rows, 8 million in a second.
    """
    writer = connection.execute(
        "SELECT xmin::text FROM replicated.physical_table WHERE physical = %s", (name,)
    ).fetchone()
    if writer is None:
        return False
    counted = connection.execute(
        sql.SQL("SELECT count(*), count(*) FILTER (WHERE xmin = {}::xid) FROM {}").format(
            sql.Literal(writer[0]), sql.Identifier("replicated", name)
        )
    ).fetchone()
    return counted == (rows, rows)


def total_bytes(connection: psycopg.Connection, tables: Iterable[str]) -> int:
    """The bytes of tables and their indexes on the book's disk; a table that does not exist has none."""
    row = connection.execute(
        """SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c
           WHERE c.relnamespace = 'replicated'::regnamespace AND c.relname = ANY(%s)""",
        (list(tables),),
    ).fetchone()
    return int(row[0] or 0) if row else 0


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def copy_in(connection: psycopg.Connection, statement: sql.Composed, chunks: Iterable[bytes]) -> None:
    """Run a COPY … FROM STDIN (FORMAT binary) over `chunks`, of which the first is the header.

    The other chunks are sent through libpq: with psycopg's `Copy` the server waits a fifth of the time.
    """
    widen(connection.fileno())
    with connection.cursor().copy(statement) as copy:
        pgconn = connection.pgconn
        writable = select.poll()
        writable.register(pgconn.socket, select.POLLOUT)
        rest = iter(chunks)
        copy.write(next(rest))
        for chunk in rest:
            for start in range(0, len(chunk), _PIECE):
                pgconn.put_copy_data(memoryview(chunk)[start : start + _PIECE])
                while pgconn.flush():
                    writable.poll()
