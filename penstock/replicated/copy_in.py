"""COPY into a table, fast enough that the server never waits for the chunks."""

import select
from collections.abc import Iterable

import psycopg
from psycopg import sql

from penstock.postgres.sockets import widen

_PIECE = 128 << 10


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
