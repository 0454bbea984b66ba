"""The Postgres of the books and of Dagster's storage: the URLs of the settings, else the embedded server."""

from collections.abc import Iterable, Mapping

import msgspec
import psycopg
from psycopg import sql

from penstock.postgres.book import Book, Books
from penstock.postgres.migrations import check_version
from penstock.postgres.server import DEFAULTS, PostgresServer
from penstock.settings import Settings

DATABASES = {"test_url": "penstock_test", "prod_url": "penstock_prod", "dagster_url": "penstock_dagster"}


def server(settings: Settings, options: Mapping[str, str] | None = None) -> PostgresServer:
    """The embedded server below the home. `options` replace defaults of a server that is not created yet."""
    return PostgresServer(
        settings.home / "postgres", settings.home / "logs" / "postgres.log", {**DEFAULTS, **(options or {})}
    )


def is_embedded(settings: Settings) -> bool:
    """Whether a book or Dagster's storage is in the embedded server."""
    return not all(getattr(settings, name) for name in DATABASES)


def is_running(settings: Settings) -> bool:
    """Whether the embedded server runs."""
    return server(settings).pid() is not None


def resolve(settings: Settings, fields: Iterable[str] = ()) -> Settings:
    """The settings with every Postgres URL, or these, filled in. Starts the embedded server if one was empty."""
    wanted = set(fields) or set(DATABASES)
    missing = {field: name for field, name in DATABASES.items() if field in wanted and not getattr(settings, field)}
    if not missing:
        return settings
    embedded = server(settings)
    embedded.start()
    _ensure_databases(embedded.url("postgres"), set(missing.values()))
    return msgspec.structs.replace(settings, **{field: embedded.url(name) for field, name in missing.items()})


def books(settings: Settings) -> Books:
    """TEST and PROD, of any version. Starts the embedded server if it is needed, and leaves it running."""
    resolved = resolve(settings, ("test_url", "prod_url"))
    return Books(Book("test", resolved.test_url), Book("prod", resolved.prod_url))


def open_books(settings: Settings) -> Books:
    """TEST and PROD, after a check (one SELECT each) that this code works with their versions; BookError if not.

    An empty book of the embedded server is migrated; no other book is changed."""
    opened = books(settings)
    for book in opened:
        found, embedded = book.settled_version(), not settings.url_of(book.name)
        if found is None and embedded:
            book.migrate()
        else:
            check_version(f"book {book.name!r}", found)
    return opened


def dagster_url(settings: Settings) -> str:
    """The URL of Dagster's storage, with the driver that dagster-postgres needs."""
    return with_dagsters_driver(resolve(settings, ("dagster_url",)).dagster_url)


def with_dagsters_driver(url: str) -> str:
    """A Postgres URL of any driver or none, with the one of dagster-postgres; another URL as it is."""
    scheme, _, rest = url.partition("://")
    return f"postgresql+psycopg2://{rest}" if scheme.partition("+")[0] in {"postgres", "postgresql"} else url


def stop(settings: Settings) -> bool:
    """Stop the embedded server. Returns False if it did not run."""
    return server(settings).stop()


def _ensure_databases(url: str, names: set[str]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET lock_timeout = '60s'")  # as long as another command makes databases
        connection.execute("SELECT pg_advisory_lock(hashtext('penstock.databases'))")
        existing = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
        for name in sorted(names - existing):
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
