"""Bring a book's schema forward: its pending migrations, one after the other, under one lock."""

import contextlib
import time
from collections.abc import Callable, Iterator

import psycopg
from psycopg import sql

from penstock.postgres import roles
from penstock.postgres.blocking import advisory_lock_holder, blocking_sessions
from penstock.postgres.connecting import connect
from penstock.postgres.migrations import (
    BEFORE_VERSIONS,
    VERSION_QUERY,
    BookError,
    Migration,
    check_version,
    known,
    newest,
)

Say = Callable[[str], None]

PATIENCE_SECONDS = 30.0
LOCK_WAIT_MS = 500
"""Longest wait of a reader behind a migration that waits for its lock; then the reader has its turn."""
PAUSE_SECONDS = 0.5
LOCK_KEY = (1347374675, 1)  # "PENS" in ASCII

_RECORD = "INSERT INTO app.migration (number, name, digest) VALUES (%s, %s, %s)"
_MIGRATION_TABLE = """
DO $$
BEGIN
    IF to_regnamespace('app') IS NULL THEN
        CREATE SCHEMA app;
    END IF;
    IF to_regclass('app.migration') IS NULL THEN
        CREATE TABLE app.migration (
            number     integer PRIMARY KEY,
            name       text NOT NULL,
            digest     text NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            applied_by text NOT NULL DEFAULT session_user
        );
    END IF;
END $$
"""


def silent(_: str) -> None:
    """Say nothing."""


def version(connection: psycopg.Connection) -> int | None:
    """The book's version: one SELECT where it has one. 0 for a book from before versions, None for an empty database.

    `connection` is in autocommit. BookError where its role may not read the version.
    """
    try:
        row = connection.execute(VERSION_QUERY).fetchone()
        if row is not None and row[0] is not None:
            return int(row[0])
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        pass
    except psycopg.errors.InsufficientPrivilege as error:
        raise BookError(
            f"role {connection.info.user!r} in database {connection.info.dbname!r}",
            expected="SELECT on app.migration, where the book's version is",
            found=str(error.diag.message_primary),
            todo="`penstock doctor --roles` prints the roles and what they need.",
        ) from None
    row = connection.execute("SELECT to_regclass('app.release') IS NOT NULL").fetchone()
    return BEFORE_VERSIONS if row == (True,) else None


def settled_version(connection: psycopg.Connection, patience: float = PATIENCE_SECONDS) -> int | None:
    """As `version`, but where the book is older than the code and is being migrated, after the end of that."""
    until = time.monotonic() + patience
    while True:
        found = version(connection)
        if found is None or found >= newest() or time.monotonic() > until:
            return found
        if not advisory_lock_holder(connection, LOCK_KEY):
            return version(connection)
        time.sleep(0.1)


def pending(connection: psycopg.Connection) -> tuple[Migration, ...]:
    """The migrations that the book has not had; BookError where one that it had is another one by now."""
    row = connection.execute("SELECT to_regclass('app.migration') IS NOT NULL").fetchone()
    if row != (True,):
        return known()
    applied = {
        number: (name, digest)
        for number, name, digest in connection.execute("SELECT number, name, digest FROM app.migration")
    }
    for migration in known():
        name, digest = applied.get(migration.number, (migration.name, migration.digest))
        if (name, digest) != (migration.name, migration.digest):
            raise BookError(
                f"migration {migration.number} of database {connection.info.dbname!r}",
                expected=f"{migration.name} of digest {migration.digest[:12]}, as this Penstock has it",
                found=f"{name} of digest {digest[:12]}, which was applied",
                todo="Install the Penstock that migrated this book. A migration that was applied never changes: what "
                "has to change is a new one.",
            )
    return tuple(migration for migration in known() if migration.number not in applied)


def migrate(name: str, url: str, *, say: Say = silent, patience: float = PATIENCE_SECONDS) -> tuple[Migration, ...]:
    """Apply what is pending to the book `name` at `url`; returns what was applied.

    - One process at a time: the others wait up to `patience` seconds, and `say` for whom.
    - Each migration and its record are one transaction; one in batches commits each batch.
    - A migration waits half a second for a lock, so that readers behind it wait no longer, and tries again for
      `patience` seconds. BookError then names who holds the lock; nothing of that migration was changed.
    """
    with connect(f"book {name!r}", url, autocommit=True, application_name="penstock migrate") as connection:
        found = version(connection)
        if found is not None and found >= newest():
            check_version(f"book {name!r}", found)
            _prepare_journal(name, connection, say)
            return ()
        with _explained(name, connection), _alone(name, connection, say, patience):
            _become_owner(connection)
            connection.execute(_MIGRATION_TABLE)
            roles.grant_missing(connection)  # so that whoever opens the book meanwhile can read its version
            wanted = pending(connection)
            connection.execute("SET statement_timeout = 0")
            connection.execute(f"SET lock_timeout = {LOCK_WAIT_MS}")
            for migration in wanted:
                say(f"book {name.upper()}: {migration}")
                _apply_patiently(name, url, connection, migration, patience)
            roles.grant_missing(connection)
        _prepare_journal(name, connection, say)
        return wanted


def _prepare_journal(name: str, connection: psycopg.Connection, say: Say) -> None:
    """Make the coming days of the journal, as Dagster does daily, where the connected role may; nobody waits for it."""
    row = connection.execute("SELECT has_function_privilege('app.prepare_journal(integer)', 'EXECUTE')").fetchone()
    if row != (True,):
        return
    try:
        connection.execute("SELECT app.prepare_journal()")
    except psycopg.errors.LockNotAvailable as error:
        say(f"book {name.upper()}: the journal's coming days are not made now: {error.diag.message_primary}")


def _apply_patiently(
    name: str, url: str, connection: psycopg.Connection, migration: Migration, patience: float
) -> None:
    until = time.monotonic() + patience
    with contextlib.ExitStack() as stack:
        blocking: Callable[[], str] | None = None
        while True:
            try:
                return _apply(connection, migration)
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                if time.monotonic() > until and blocking is not None:
                    raise BookError(
                        f"migration {migration} of book {name!r}",
                        expected=f"a moment without other sessions on what it changes, within {patience:g} s",
                        found=blocking() or "nobody that is visible",
                        todo=f"End that session's transaction and run `penstock migrate` again; {_state(migration)}.",
                    ) from None
            except psycopg.errors.InsufficientPrivilege:
                raise
            except (
                psycopg.DataError,
                psycopg.IntegrityError,
                psycopg.ProgrammingError,
                psycopg.InternalError,
            ) as error:
                raise BookError(
                    f"migration {migration} of book {name!r}",
                    found=str(error.diag.message_primary or error),
                    todo=f"Look at what it names in the book, or install a newer Penstock; {_state(migration)}.",
                ) from error
            blocking = blocking or stack.enter_context(blocking_sessions(url, connection.info.backend_pid))
            time.sleep(PAUSE_SECONDS)


def _state(migration: Migration) -> str:
    """What there is of a migration that failed."""
    if migration.in_batches:
        return "the batches that were done stay, and it goes on after them"
    return "nothing was changed by this migration, and those before it are done"


def _apply(connection: psycopg.Connection, migration: Migration) -> None:
    record = (migration.number, migration.name, migration.digest)
    if migration.in_batches:
        connection.execute(migration.sql)
        connection.execute(_RECORD, record)
        return
    with connection.transaction():
        connection.execute(migration.sql)
        connection.execute(_RECORD, record)


@contextlib.contextmanager
def _alone(name: str, connection: psycopg.Connection, say: Say, patience: float) -> Iterator[None]:
    """Hold the book's migration lock; BookError naming its holder after `patience` seconds."""
    until, told = time.monotonic() + patience, ""
    while connection.execute("SELECT pg_try_advisory_lock(%s::int, %s::int)", LOCK_KEY).fetchone() != (True,):
        holder = advisory_lock_holder(connection, LOCK_KEY)
        if time.monotonic() > until:
            raise BookError(
                f"migration of book {name!r}",
                expected=f"the other migration of this book to end within {patience:g} s",
                found=holder or "a holder that is not visible",
                todo="Wait for it, and run `penstock migrate` again; nothing was changed.",
            )
        if holder and not told:
            told = holder
            say(f"book {name.upper()}: waiting for {holder}, which migrates it")
        time.sleep(0.05)
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s::int, %s::int)", LOCK_KEY)


def _become_owner(connection: psycopg.Connection) -> None:
    """Work as the role that owns the schemas, where it is the one of the roles script, so that all that is created
    belongs to it."""
    row = connection.execute(
        """SELECT FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
           WHERE n.nspname = 'app' AND r.rolname = %s AND pg_has_role(session_user, r.oid, 'USAGE')""",
        (roles.MIGRATE,),
    ).fetchone()
    if row is not None:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(roles.MIGRATE)))


@contextlib.contextmanager
def _explained(name: str, connection: psycopg.Connection) -> Iterator[None]:
    """Turn what Postgres refuses to a role into a BookError; other errors pass unchanged."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise BookError(
            f"migration of book {name!r}",
            expected=f"the owner of the schemas app and replicated, or a member of {roles.MIGRATE}",
            found=f"role {connection.info.user!r}: {error.diag.message_primary}",
            todo="Run `penstock migrate` with such a role; `penstock doctor --roles` prints all roles.",
        ) from error
