"""The databases of the books and of Dagster's storage: by the URLs of the settings, else in the embedded server."""

from collections.abc import Iterable, Mapping

import msgspec
import psycopg
from psycopg import sql

from penstock.postgres import migrate
from penstock.postgres.book import Book, Books
from penstock.postgres.migrations import check_version
from penstock.postgres.place import Place, demand_apart, place_of
from penstock.postgres.server import DEFAULTS, PostgresServer
from penstock.settings import BookName, Settings

NAMES = {"test_url": "penstock_test", "prod_url": "penstock_prod", "dagster_url": "penstock_dagster"}
"""Field of Settings -> name of its database in the embedded server."""


class Databases:
    """TEST, PROD and Dagster's storage. What is embedded is started when it is first needed, and left running."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def server(self, options: Mapping[str, str] | None = None) -> PostgresServer:
        """The embedded server below the home. `options` replace defaults of a server that is not created yet."""
        home = self._settings.home
        return PostgresServer(home / "postgres", home / "logs" / "postgres.log", {**DEFAULTS, **(options or {})})

    def is_embedded(self) -> bool:
        """Whether a book or Dagster's storage is in the embedded server."""
        return not all(getattr(self._settings, field) for field in NAMES)

    def is_running(self) -> bool:
        """Whether the embedded server runs."""
        return self.server().pid() is not None

    def stop(self) -> bool:
        """Stop the embedded server. Returns False if it did not run."""
        return self.server().stop()

    def resolve(self, fields: Iterable[str] = NAMES) -> Settings:
        """The settings with these URLs filled in, by default all. Starts the embedded server if one was empty."""
        missing = {field: NAMES[field] for field in fields if not getattr(self._settings, field)}
        if not missing:
            return self._settings
        embedded = self.server()
        embedded.start()
        _ensure_databases(embedded.url("postgres"), set(missing.values()))
        urls = {field: embedded.url(name) for field, name in missing.items()}
        return msgspec.structs.replace(self._settings, **urls)

    def variables(self) -> dict[str, str]:
        """Every setting as a variable of Penstock, with all URLs filled in, for the processes that Dagster has."""
        resolved = self.resolve()
        url = with_dagsters_driver(resolved.dagster_url)
        return msgspec.structs.replace(resolved, dagster_url=url).variables()

    def books(self) -> Books:
        """TEST and PROD, of any version."""
        resolved = self.resolve(("test_url", "prod_url"))
        return Books(Book("test", resolved.test_url), Book("prod", resolved.prod_url))

    def open_books(self) -> Books:
        """TEST and PROD, after a check (two SELECTs each) that they are two databases and that this code works with
        their versions; BookError if not.

        An empty book of the embedded server is migrated; no other book is changed."""
        opened, places = self.books(), dict[BookName, Place]()
        for book in opened:
            with book.connect(autocommit=True) as connection:
                found, places[book.name] = migrate.settled_version(connection), place_of(connection)
            if found is None and not self._settings.url_of(book.name):
                book.migrate()
            else:
                check_version(f"book {book.name!r}", found)
        demand_apart(places)
        return opened

    def dagster_url(self) -> str:
        """The URL of Dagster's storage, with the driver that dagster-postgres needs."""
        return with_dagsters_driver(self.resolve(("dagster_url",)).dagster_url)


def with_dagsters_driver(url: str) -> str:
    """A Postgres URL of any driver or none, with the one of dagster-postgres; another URL as it is."""
    scheme, _, rest = url.partition("://")
    return f"postgresql+psycopg2://{rest}" if scheme.partition("+")[0] in {"postgres", "postgresql"} else url


def _ensure_databases(url: str, names: set[str]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET lock_timeout = '60s'")  # as long as another command makes databases
        connection.execute("SELECT pg_advisory_lock(hashtext('penstock.databases'))")
        existing = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
        for name in sorted(names - existing):
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
