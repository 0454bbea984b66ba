"""One environment's Postgres database: its URL, its connections, its two schemas."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psycopg
import sqlalchemy as sa

from penstock.settings import BookName

SQL = Path(__file__).parent / "sql"


@dataclass(frozen=True)
class Book:
    """A book by name and libpq URL (`postgresql://…`), as psycopg and asyncpg take it."""

    name: BookName
    url: str

    @property
    def engine(self) -> sa.Engine:
        """The pooled SQLAlchemy engine of this book, one per process."""
        return _engine(self.url)

    @contextmanager
    def connect(self, *, autocommit: bool = False) -> Iterator[psycopg.Connection]:
        """A fresh psycopg connection, for COPY and LISTEN; committed at the end unless an error leaves."""
        with psycopg.connect(self.url, autocommit=autocommit, application_name="penstock") as connection:
            yield connection

    def ensure(self) -> None:
        """Create what is missing of the schemas `app` and `replicated`; safe to call at once from many."""
        with self.connect() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(hashtext('penstock.ensure'))")
            for path in sorted(SQL.glob("book_*.sql")):
                connection.execute(path.read_bytes())


@cache
def _engine(url: str) -> sa.Engine:
    return sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), pool_pre_ping=True, pool_size=4)
