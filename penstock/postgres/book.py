"""One environment's Postgres database: its URL, its connections, its two schemas."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import psycopg
import sqlalchemy as sa

from penstock.postgres import migrate
from penstock.postgres.migrations import Migration
from penstock.settings import BookName


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

    def version(self) -> int | None:
        """The number of the newest migration that was applied; 0 for a book from before versions, None for an empty
        database. BookError where the connected role may not read it."""
        with self.connect(autocommit=True) as connection:
            return migrate.version(connection)

    def settled_version(self) -> int | None:
        """As `version`, but of a book that is being migrated after the end of that."""
        with self.connect(autocommit=True) as connection:
            return migrate.settled_version(connection)

    def pending(self) -> tuple[Migration, ...]:
        """The migrations that the book has not had; changes nothing."""
        with self.connect(autocommit=True) as connection:
            return migrate.pending(connection)

    def migrate(
        self, *, say: migrate.Say = migrate.silent, patience: float = migrate.PATIENCE_SECONDS
    ) -> tuple[Migration, ...]:
        """Bring the schemas to the version of this code; returns what was applied. See `migrate.migrate`."""
        return migrate.migrate(self.name, self.url, say=say, patience=patience)


@cache
def _engine(url: str) -> sa.Engine:
    return sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), pool_pre_ping=True, pool_size=4)
