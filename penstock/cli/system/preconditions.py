"""What has to hold before a command starts or changes anything, each fault in one sentence.

A precondition is a method that raises PenstockError where it does not hold. It starts nothing: what is embedded below
the home, and not made yet, is no fault.
"""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial

import psycopg

from penstock.cli.system import certificate, surroundings
from penstock.cli.system.background import in_background
from penstock.cli.system.ports import demand_own_address
from penstock.errors import Faults, PenstockError, demand_none
from penstock.postgres import migrate, roles
from penstock.postgres.book import Book
from penstock.postgres.connecting import connect
from penstock.postgres.migrations import BookError, check_version, newest
from penstock.postgres.place import Place, demand_apart, demand_usable, place_of
from penstock.serving.routes.keys import Keys
from penstock.settings import HTTPS_ADDRESS, BookName, SettingError, Settings
from penstock.warehouse.opening import demand_answer, open_warehouse

Precondition = Callable[[], None]
ASK_SECONDS = 60.0
"""So long a warehouse, a store or a server may take to say that it is there. Most drivers give up before."""
NEEDED_DISK = 0.3e9  # bytes: less, and Postgres may stop in the middle. `penstock doctor` warns long before.


class Preconditions:
    """Of a command with these settings. Each public method but `demand` and `faults` is one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def demand(self, own: Sequence[Precondition], of_others: Sequence[Precondition] = ()) -> None:
        """PenstockError with a sentence for each of these methods that does not hold."""
        demand_none(self.faults(own, of_others))

    def faults(self, own: Sequence[Precondition], of_others: Sequence[Precondition] = ()) -> list[PenstockError]:
        """What does not hold of these methods, in their order. What others run is asked side by side after the rest,
        and has to answer in time. Ray Serve reads a configuration only in one thread at a time."""
        found = [fault for one in own for fault in _faults(one)]
        until = time.monotonic() + ASK_SECONDS
        for one, asked in [(one, in_background(one)) for one in of_others]:
            found += _faults(partial(_answered, one, asked, until))
        return found

    def demand_to_publish(self) -> None:
        """PenstockError with a sentence for each thing that would keep a publish or a release from its work."""
        self.demand([self.home], [self.stores_to_write, self.warehouse, self.books_to_publish])

    def demand_to_start(self) -> None:
        """PenstockError with a sentence for each thing that would keep `penstock up` from its work."""
        own = [self.host, self.keys]
        if self._settings.book != "dev":
            own += [self.https, self.service_config]
        stands = [self.stores_to_write, self.warehouse_or_seed, self.dagster_storage, self.books_to_bring_forward]
        self.demand(own, stands)

    def home(self) -> None:
        """The home can be written, and its disk is not nearly full."""
        folder = next(path for path in (self._settings.home, *self._settings.home.parents) if path.exists())
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            found = "one that may not be written" if folder.is_dir() else "a file in its place"
            todo = "Set PENSTOCK_HOME to a folder of this user."
            raise PenstockError(
                f"home {self._settings.home}", expected="a folder", found=f"{found}, {folder}", todo=todo
            )
        free = shutil.disk_usage(folder).free
        if free < NEEDED_DISK:
            raise PenstockError(
                f"disk of {self._settings.home}",
                expected=f"at least {NEEDED_DISK / 1e9:.1f} GB free",
                found=f"{free / 1e9:.2f} GB",
                todo="Free some, or set PENSTOCK_HOME to a folder on another disk.",
            )

    def host(self) -> None:
        """The service can listen where it is told to."""
        demand_own_address(self._settings.http_host)

    def keys(self) -> None:
        """The file of API keys is there where it has to be, and lets somebody in."""
        lines: list[str] = []
        keys = Keys(self._settings.api_keys_file, self._settings.outer_host, say=lines.append)
        if keys.lets_nobody_in:
            raise SettingError(
                f"PENSTOCK_API_KEYS_FILE={self._settings.api_keys_file}",
                expected="the SHA-256 of a key on a line",
                found=f"none: {lines[0]}" if lines else "none",
                todo='Write it: printf %s "$KEY" | sha256sum > keys',
            )

    def https(self) -> None:
        """The service can listen with TLS, where it has a certificate."""
        if self._settings.tls_file:
            certificate.days_left(self._settings.tls_file)
        elif self._settings.https_address != HTTPS_ADDRESS:
            expected, todo = "a certificate, since PENSTOCK_HTTPS_ADDRESS is set", "Set it, or leave out the address."
            raise SettingError(certificate.VARIABLE, expected=expected, found="nothing", todo=todo)

    def service_config(self) -> None:
        """The project's serve_config.yaml is one, and this machine has the CPUs that its replicas demand."""
        from penstock.serving.deploying import serve_config

        config = serve_config.of_project(
            self._settings.demand_project(), self._settings.http_host, self._settings.http_port
        )
        if lacking := serve_config.lacking_cpus(config, os.cpu_count() or 1, spare=False):
            raise PenstockError(lacking)

    def stores(self) -> None:
        """Both stores answer."""
        surroundings.demand_stores(self._settings.stores)

    def stores_to_write(self) -> None:
        """Both stores answer, and what is a folder may be written."""
        surroundings.demand_stores(self._settings.stores, to_write=True)

    def warehouse(self) -> None:
        """The warehouse answers."""
        demand_answer(open_warehouse(self._settings))

    def warehouse_or_seed(self) -> None:
        """The warehouse answers, or is the embedded one that `penstock up` makes, or that is not filled yet."""
        if self._settings.warehouse_url or self._settings.warehouse_file.exists():
            self.warehouse()

    def books_to_bring_forward(self) -> None:
        """The books by URL answer, are not newer than this code, and the connected role may migrate what is older."""
        self._each_book(_demand_forward)

    def books_to_publish(self) -> None:
        """The books by URL answer, and the connected role may publish and release there."""
        self._each_book(partial(_demand_duty, duty=roles.PIPELINE))

    def books_to_serve(self) -> None:
        """The books by URL that serve_config.yaml names answer, and the connected role may at least read them: replicas
        have the login of `penstock up`."""
        from penstock.serving.deploying import serve_config

        try:
            config = serve_config.of_project(
                self._settings.demand_project(), self._settings.http_host, self._settings.http_port
            )
        except serve_config.ServeConfigError:
            return  # see `service_config`
        demand_of = partial(_demand_duty, duty=roles.SERVICE, or_duties=(roles.PIPELINE, roles.READER))
        self._each_book(demand_of, serve_config.books(config))

    def dagster_storage(self) -> None:
        """The database of Dagster's runs answers, if it is named by URL, and has its tables or lets them be made."""
        if not self._settings.dagster_url:
            return
        thing = "Dagster's storage"
        with connect(thing, self._settings.dagster_url, autocommit=True, application_name="penstock") as connection:
            if lacking := roles.lacking_for_dagster(connection):
                user = connection.info.user
                todo = f"As its owner: {roles.grant_for_dagster(user)}"
                raise BookError(f"{thing}, as role {user!r}", expected=lacking, found="not granted", todo=todo)

    def _each_book(
        self, demand_of: Callable[[Book, psycopg.Connection], None], names: Sequence[BookName] = ("test", "prod")
    ) -> None:
        """PenstockError of each book by URL of these names that cannot be a book, or that `demand_of` refuses."""
        named = [Book(name, url) for name in names if (url := self._settings.url_of(name))]
        found, places = list[PenstockError](), dict[BookName, Place]()
        for book in named:
            try:
                with book.connect(autocommit=True) as connection:
                    places[book.name] = place_of(connection)
                    demand_usable(f"book {book.name!r}", connection)
                    demand_of(book, connection)
            except Faults as error:
                found += error.faults
            except PenstockError as error:
                found.append(error)
        try:
            demand_apart(places)
        except PenstockError as error:
            found.append(error)
        demand_none(found)


def _faults(holds: Precondition) -> Sequence[PenstockError]:
    try:
        holds()
    except Faults as error:
        return error.faults
    except PenstockError as error:
        return [error]
    return []


def _answered(one: Precondition, asked: Future[None], until: float) -> None:
    try:
        asked.result(max(0.0, until - time.monotonic()))
    except TimeoutError:
        name, wanted = one.__name__.partition("_to_")[0].replace("_", " "), f"an answer within {ASK_SECONDS:.0f} s"
        todo = "Look whether it runs and can be reached from here."
        raise PenstockError(name, expected=wanted, found="none", todo=todo) from None


def _demand_forward(book: Book, connection: psycopg.Connection) -> None:
    found, user = migrate.version(connection), connection.info.user
    if found is not None and found >= newest():
        check_version(f"book {book.name!r}", found)
    elif found is None:
        if lacks := roles.lacking_for_schemas(connection):
            raise _may_not(f"book {book.name!r}", user, lacks)
    elif lacking := roles.not_owned(connection):
        raise _may_not(f"book {book.name!r}", user, f"ownership of {lacking[0]}, to migrate it")


def _demand_duty(book: Book, connection: psycopg.Connection, *, duty: str, or_duties: Sequence[str] = ()) -> None:
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
