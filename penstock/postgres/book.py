"""The books: one Postgres database per environment, with its URL, its connections and its schemas."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from penstock.postgres import migrate
from penstock.postgres.connecting import connect
from penstock.postgres.migrations import Migration
from penstock.postgres.place import Place, place_of
from penstock.settings import BookName


@dataclass(frozen=True)
class Book:
    """A book by name and libpq URL (`postgresql://…`), as psycopg and asyncpg take it."""

    name: BookName
    url: str

    @contextmanager
    def connect(self, *, autocommit: bool = False) -> Iterator[psycopg.Connection]:
        """A new connection, one transaction unless `autocommit`: committed at the end, rolled back by an error.

        See `penstock.postgres.connecting.connect` for what is refused."""
        with connect(f"book {self.name!r}", self.url, autocommit=autocommit, application_name="penstock") as connection:
            yield connection

    def version(self) -> int | None:
        """The number of the newest migration that was applied; 0 for a book from before versions, None for an empty
        database. BookError where the connected role may not read it."""
        with self.connect(autocommit=True) as connection:
            return migrate.version(connection)

    def place(self) -> Place:
        """The database behind the URL."""
        with self.connect(autocommit=True) as connection:
            return place_of(connection)

    def pending(self) -> tuple[Migration, ...]:
        """The migrations that the book has not had; changes nothing."""
        with self.connect(autocommit=True) as connection:
            return migrate.pending(connection)

    def migrate(
        self, *, say: migrate.Say = migrate.silent, patience: float = migrate.PATIENCE_SECONDS
    ) -> tuple[Migration, ...]:
        """Bring the schemas to the version of this code; returns what was applied. See `migrate.migrate`."""
        return migrate.migrate(self.name, self.url, say=say, patience=patience)


@dataclass(frozen=True)
class Books:
    """The TEST and the PROD book. Iteration is in the order in which a publish goes: TEST first."""

    test: Book
    prod: Book

    def __iter__(self) -> Iterator[Book]:
        return iter(self.both)

    @property
    def both(self) -> tuple[Book, Book]:
        """TEST and PROD."""
        return self.test, self.prod

    def named(self, name: BookName) -> Book:
        """The book of this name."""
        return self.test if name == "test" else self.prod
