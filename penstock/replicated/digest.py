"""The digest of a table in a book, computed from its bytes."""

import select

import psycopg
from psycopg import pq, sql

from penstock.rows.copy_stream import StreamDigest
from penstock.rows.types import schema_text

_GATHERED = 1 << 18


def table_digest(
    connection: psycopg.Connection, physical: str, order_by: tuple[str, ...] | None = None
) -> StreamDigest:
    """The digest of `COPY … TO STDOUT (FORMAT binary)`, in the order of a key, or without one as the rows lie."""
    if order_by is not None:
        return stream_digest(connection, sorted_copy(physical, order_by))
    connection.execute("SET synchronize_seqscans = off")
    table = sql.Identifier("replicated", physical)
    return stream_digest(connection, sql.SQL("COPY {} TO STDOUT (FORMAT binary)").format(table))


def sorted_copy(physical: str, key: tuple[str, ...]) -> sql.Composed:
    """The COPY … TO STDOUT statement of a table's rows in the order of a key."""
    return sql.SQL("COPY (SELECT * FROM {} ORDER BY {}) TO STDOUT (FORMAT binary)").format(
        sql.Identifier("replicated", physical), sql.SQL(", ").join(map(sql.Identifier, key))
    )


def stream_digest(connection: psycopg.Connection, statement: sql.Composed) -> StreamDigest:
    """The digest of what a COPY … TO STDOUT statement sends.

    The bytes are read through libpq: psycopg's `Copy` needs 2.5 times the processor time.
    """
    digest = StreamDigest()
    connection.execute("SET client_encoding = 'UTF8'")
    with connection.cursor().copy(statement):
        pgconn = connection.pgconn
        ready = select.poll()
        ready.register(pgconn.socket, select.POLLIN)
        gathered = bytearray()
        while (taken := pgconn.get_copy_data(1))[0] >= 0:
            if taken[0] == 0:
                ready.poll()
                pgconn.consume_input()
                continue
            gathered += taken[1]
            if len(gathered) >= _GATHERED:
                digest.update(gathered)
                gathered.clear()
        digest.update(gathered)
        while (result := pgconn.get_result()) is not None:
            if result.status != pq.ExecStatus.COMMAND_OK:
                raise psycopg.errors.error_from_result(result)
    return digest


def catalog_schema(connection: psycopg.Connection, physical: str) -> bytes:
    """Columns, types and primary key of a table in the catalog, as the text that is part of a snapshot's id."""
    relation = sql.Identifier("replicated", physical).as_string(connection)
    columns = connection.execute(
        """SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
           WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum""",
        (relation,),
    ).fetchall()
    key = connection.execute(
        """SELECT a.attname FROM pg_index i CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
           JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
           WHERE i.indrelid = %s::regclass AND i.indisprimary ORDER BY k.place""",
        (relation,),
    ).fetchall()
    return schema_text(tuple((name, kind) for name, kind in columns), tuple(name for (name,) in key))
