"""The chunks of a binary COPY on their way into a table, such that the server never waits for them."""

import os
import select
import socket
from collections.abc import Iterable

import psycopg
from psycopg import sql

_PIECE = 128 << 10
_SOCKET_BYTES = 1 << 20
"""Asked for; the system gives what it allows. Linux wakes the sender of a unix socket only when three quarters of
the buffer are empty: what is left has to last until the encoder, in another thread, lets go of the interpreter."""


def copy_in(connection: psycopg.Connection, statement: sql.Composed, chunks: Iterable[bytes]) -> None:
    """Run a COPY … FROM STDIN (FORMAT binary) over `chunks`, the first of which is the header.

    All but the header goes below psycopg's `Copy`, whose generators per piece let the server wait a fifth of the time.
    """
    _widen(connection.fileno())
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


def _widen(descriptor: int) -> None:
    """A larger send buffer for a unix socket; that of TCP grows by itself."""
    with socket.socket(fileno=os.dup(descriptor)) as own:
        if own.family == socket.AF_UNIX:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)
