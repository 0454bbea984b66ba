"""How fast a Postgres warehouse is read and joined, beside its driver alone and beside DuckDB."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from penstock.postgres.server import DEFAULTS, PostgresServer


@contextmanager
def scratch(script: str) -> Iterator[tuple[str, Path]]:
    """The URL of a Postgres of its own in which the script has run, and a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        server = PostgresServer(Path(folder) / "data", Path(folder) / "log", {**DEFAULTS, "fsync": "off"})
        server.start()
        try:
            with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
                connection.execute(script.encode())
            yield server.url("postgres"), Path(folder)
        finally:
            server.remove()
