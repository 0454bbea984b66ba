"""How far the clock of a book's server is from that of this machine."""

import time

import psycopg


def seconds_ahead(connection: psycopg.Connection) -> float:
    """By how many seconds the server's clock is ahead of this machine's, to half the time of a query."""
    began = time.time()
    row = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
    ended = time.time()
    return (float(row[0]) if row else 0.0) - (began + ended) / 2
