"""What has to hold before a command starts or changes anything, each fault in one sentence.

A precondition is a function of the settings that raises PenstockError where it does not hold. It starts nothing: what
is embedded below the home, and not made yet, is no fault.
"""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial

from penstock.cli.system import surroundings
from penstock.cli.system.background import in_background
from penstock.cli.system.certificate import days_left
from penstock.cli.system.ports import demand_own_address
from penstock.errors import Faults, PenstockError, demand_none
from penstock.postgres import migrate, roles
from penstock.postgres.book import Book
from penstock.postgres.connecting import connect
from penstock.postgres.migrations import BookError, check_version, newest
from penstock.serving.routes.keys import Keys
from penstock.settings import BookName, Settings
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from penstock.warehouse.opening import open_warehouse

Precondition = Callable[[Settings], None]
ASK_SECONDS = 60.0
"""So long a warehouse, a store or a server may take to say that it is there. Most drivers give up before."""
NEEDED_DISK = 0.3e9  # bytes: less, and Postgres may stop in the middle. `penstock doctor` warns long before.


def demand(settings: Settings, *preconditions: Precondition) -> None:
    """PenstockError with a sentence for each of these that does not hold."""
    demand_none(faults(settings, *preconditions))


def faults(settings: Settings, *preconditions: Precondition) -> list[PenstockError]:
    """What does not hold of these, in their order. What others run is asked side by side."""
    until = time.monotonic() + ASK_SECONDS
    asked = {one: in_background(partial(one, settings)) for one in preconditions if one in OF_OTHERS}
    found: list[PenstockError] = []
    for one in preconditions:
        try:
            if one in asked:
                asked[one].result(max(0.0, until - time.monotonic()))
            else:
                one(settings)
        except TimeoutError:
            name, wanted = one.__name__.partition("_to_")[0].replace("_", " "), f"an answer within {ASK_SECONDS:.0f} s"
            todo = "Look whether it runs and can be reached from here."
            found.append(PenstockError(name, expected=wanted, found="none", todo=todo))
        except Faults as error:
            found += error.faults
        except PenstockError as error:
            found.append(error)
    return found


def home(settings: Settings) -> None:
    """The home can be written, and its disk is not nearly full."""
    folder = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        found = "one that may not be written" if folder.is_dir() else "a file in its place"
        todo = "Set PENSTOCK_HOME to a folder of this user."
        raise PenstockError(f"home {settings.home}", expected="a folder", found=f"{found}, {folder}", todo=todo)
    free = shutil.disk_usage(folder).free
    if free < NEEDED_DISK:
        raise PenstockError(
            f"disk of {settings.home}",
            expected=f"at least {NEEDED_DISK / 1e9:.1f} GB free",
            found=f"{free / 1e9:.2f} GB",
            todo="Free some, or set PENSTOCK_HOME to a folder on another disk.",
        )


def host(settings: Settings) -> None:
    """The service can listen where it is told to."""
    demand_own_address(settings.http_host)


def keys(settings: Settings) -> None:
    """The file of API keys is there where it has to be."""
    Keys(settings.api_keys_file, settings.outer_host, say=lambda _: None)


def https(settings: Settings) -> None:
    """The service can listen with TLS, where it has a certificate."""
    if settings.tls_file:
        days_left(settings.tls_file)


def service_config(settings: Settings) -> None:
    """The project's serve_config.yaml is one, and this machine has the CPUs that its replicas demand."""
    from penstock.serving.deploying import serve_config

    config = serve_config.of_project(settings.demand_project(), settings.http_host, settings.http_port)
    if lacking := serve_config.lacking_cpus(config, os.cpu_count() or 1, spare=False):
        raise PenstockError(lacking)


def stores(settings: Settings) -> None:
    """Both stores answer."""
    surroundings.demand_stores(settings.stores)


def stores_to_write(settings: Settings) -> None:
    """Both stores answer, and what is a folder may be written."""
    surroundings.demand_stores(settings.stores, to_write=True)


def warehouse(settings: Settings) -> None:
    """The warehouse answers."""
    opened = open_warehouse(settings)
    if isinstance(opened, DuckDBWarehouse):
        opened.demand_readable()
    else:
        with opened.batches("SELECT 1 AS one"):
            pass


def warehouse_or_seed(settings: Settings) -> None:
    """The warehouse answers, or is the embedded one that `penstock up` fills."""
    is_seeded = not settings.warehouse_url and settings.demand_project().seed
    if not is_seeded or settings.warehouse_file.exists():
        warehouse(settings)


def books_to_bring_forward(settings: Settings) -> None:
    """The books by URL answer, are not newer than this code, and the connected role may migrate what is older."""
    _each_book(settings, _demand_forward)


def books_to_publish(settings: Settings) -> None:
    """The books by URL answer, and the connected role may publish and release there."""
    _each_book(settings, partial(_demand_duty, duty=roles.PIPELINE))


def books_to_serve(settings: Settings) -> None:
    """The books by URL that serve_config.yaml names answer, and the connected role may at least read them: replicas
    have the login of `penstock up`."""
    from penstock.serving.deploying import serve_config

    try:
        config = serve_config.of_project(settings.demand_project(), settings.http_host, settings.http_port)
    except serve_config.ServeConfigError:
        return  # see `service_config`
    demand_of = partial(_demand_duty, duty=roles.SERVICE, or_duties=(roles.PIPELINE, roles.READER))
    _each_book(settings, demand_of, serve_config.books(config))


def dagster_storage(settings: Settings) -> None:
    """The database of Dagster's runs answers, if it is named by URL, and lets its tables be made where it has none."""
    if not settings.dagster_url:
        return
    thing = "Dagster's storage"
    with connect(thing, settings.dagster_url, autocommit=True, application_name="penstock") as connection:
        lacks = "to_regclass('runs') IS NULL AND has_schema_privilege(current_schema(), 'CREATE') IS NOT TRUE"
        if connection.execute(f"SELECT {lacks}".encode()).fetchone() == (True,):
            raise BookError(
                f"{thing}, as role {connection.info.user!r}",
                expected="CREATE on its schema, for Dagster's tables",
                found="not granted",
                todo=f"As its owner: GRANT CREATE ON SCHEMA public TO {connection.info.user};",
            )


OF_OTHERS: frozenset[Precondition] = frozenset(
    {
        *(stores, stores_to_write, warehouse, warehouse_or_seed, dagster_storage),
        *(books_to_bring_forward, books_to_publish, books_to_serve),
    }
)
"""What waits for a program elsewhere."""


def _each_book(
    settings: Settings, demand_of: Callable[[Book], None], names: Sequence[BookName] = ("test", "prod")
) -> None:
    named = [Book(name, url) for name in names if (url := settings.url_of(name))]
    found = []
    for book in named:
        try:
            demand_of(book)
        except PenstockError as error:
            found.append(error)
    demand_none(found)


def _demand_forward(book: Book) -> None:
    with book.connect(autocommit=True) as connection:
        found, user = migrate.version(connection), connection.info.user
        if found is not None and found >= newest():
            check_version(f"book {book.name!r}", found)
        elif found is None:
            asked = "SELECT has_database_privilege(current_database(), 'CREATE')"
            if connection.execute(asked.encode()).fetchone() != (True,):
                raise _may_not(f"book {book.name!r}", user, "CREATE on its database, for the schemas")
        elif lacking := roles.not_owned(connection):
            raise _may_not(f"book {book.name!r}", user, f"ownership of {lacking[0]}, to migrate it")


def _demand_duty(book: Book, *, duty: str, or_duties: Sequence[str] = ()) -> None:
    with book.connect(autocommit=True) as connection:
        found = migrate.version(connection)
        if found is None or found < newest():
            return  # perhaps it is being migrated: the command itself waits for that
        check_version(f"book {book.name!r}", found)
        rights = roles.rights(connection)
        if all(rights.missing[one] for one in (duty, *or_duties)):
            lacking = rights.missing[duty]
            more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            raise _may_not(f"book {book.name!r}", rights.user, f"what {duty} has: {lacking[0].rstrip(';')}{more}")


def _may_not(thing: str, user: str, what: str) -> BookError:
    todo = "`penstock doctor --roles` prints the SQL that grants all of it."
    return BookError(f"{thing}, as role {user!r}", expected=what, found="not granted", todo=todo)
