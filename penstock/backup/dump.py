"""The programs of Postgres that dump a book and restore one."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from penstock.errors import PenstockError
from penstock.postgres.account import PostgresError
from penstock.postgres.book import Book
from penstock.postgres.programs import programs

WITH_TLS = {"sslmode", "sslrootcert", "sslcert"}
"""Parameters of a URL that only a program with TLS takes."""


class BackupError(PenstockError):
    """A backup or restore that cannot be; its text says what was changed, if anything."""


def dump(book: Book, snapshot: str, target: Path) -> None:
    """Write a whole book, as an exported snapshot of it shows it, in the format of pg_restore."""
    _run("pg_dump", book, ["--format=custom", f"--snapshot={snapshot}", f"--file={target}"])


def restore(book: Book, source: Path, *, owners: bool) -> None:
    """Fill an empty book in one transaction. `owners`: with the roles that owned and were granted what is in it.

    Schemas that are there and empty, as the roles' script makes them, go first: the dump has its own.
    """
    with book.connect() as connection:
        connection.execute("DROP SCHEMA IF EXISTS app, replicated RESTRICT")
    options = [] if owners else ["--no-owner", "--no-privileges"]
    _run("pg_restore", book, ["--single-transaction", "--exit-on-error", *options, str(source)])


def _run(program: str, book: Book, options: list[str]) -> None:
    """Run a program on a book. The password goes by the environment: anybody may read a command line."""
    parts = conninfo_to_dict(book.url)
    password: Mapping[str, str] = {"PGPASSWORD": str(parts.pop("password"))} if parts.get("password") else {}
    conninfo = make_conninfo("", **{key: value for key, value in parts.items() if value is not None})
    done = subprocess.run(  # noqa: S603
        [_program(program, tls=bool(WITH_TLS & parts.keys())), f"--dbname={conninfo}", *options],
        env={**os.environ, "LC_ALL": "C", **password},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = [line for line in done.stderr.strip().splitlines() if "detail: Query was" not in line]
        raise BackupError(f"{program} of book {book.name!r}", found="\n".join(lines)[:1000])


def _program(name: str, *, tls: bool) -> str:
    """The program of the embedded Postgres, which is as new as any server that is tested; else the machine's.

    The embedded one was built without TLS.
    """
    machines = shutil.which(name)
    try:
        own = Path() if tls else programs() / name
    except PostgresError:
        own = Path()
    found = str(own) if own.is_file() else machines
    if not found:
        todo = (
            "Install Postgres' client programs." if tls else "Install penstock[pipeline], or Postgres' client programs."
        )
        raise BackupError(f"{name}{' with TLS' if tls else ''}", found="not installed", todo=todo)
    return found


def roles_are_there(book: Book, names: list[str]) -> bool:
    """Whether the server of a book has all these roles."""
    with book.connect(autocommit=True) as connection:
        rows = connection.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", (names,)).fetchall()
    return len(rows) == len(names)


def owners_and_grantees(connection: psycopg.Connection) -> list[str]:
    """The roles that own or are granted something in the schemas of a book."""
    return [name for (name,) in connection.execute(_ROLES)]


_ROLES = """WITH things AS (
    SELECT relowner AS owner, relacl AS acl FROM pg_class
    WHERE relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('app', 'replicated'))
    UNION ALL SELECT nspowner, nspacl FROM pg_namespace WHERE nspname IN ('app', 'replicated'))
SELECT rolname FROM pg_roles WHERE oid IN (
    SELECT owner FROM things UNION SELECT (aclexplode(acl)).grantee FROM things) ORDER BY rolname"""
