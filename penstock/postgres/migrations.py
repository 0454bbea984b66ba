"""The numbered migrations of a book's schema, and which version of a book this code works with."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from penstock.errors import PenstockError

FOLDER = Path(__file__).parent / "sql" / "migrations"
BATCHES = ".batches.sql"
VERSION_QUERY = "SELECT max(number) FROM app.migration"
"""The version of a book: the number of the newest migration that was applied to it."""
BEFORE_VERSIONS = 0
"""The version of a book that was made before books had one."""


class BookError(PenstockError):
    """A book's schema is not the one that this code needs, or cannot be brought there."""


@dataclass(frozen=True)
class Migration:
    """One file `<number>_<name>.sql`. One named `….batches.sql` is a single statement that commits its batches itself,
    and can be broken off and begun again."""

    path: Path

    @property
    def number(self) -> int:
        """Its place in the order, from 1."""
        return int(self.path.name.split("_", 1)[0])

    @property
    def name(self) -> str:
        """What it does, in a word or two."""
        return self.path.name.split("_", 1)[1].removesuffix(BATCHES).removesuffix(".sql")

    @property
    def in_batches(self) -> bool:
        """Whether it runs outside a transaction."""
        return self.path.name.endswith(BATCHES)

    @property
    def sql(self) -> bytes:
        """The statements."""
        return self.path.read_bytes()

    @property
    def digest(self) -> str:
        """SHA-256 of the file: an applied migration never changes."""
        return hashlib.sha256(self.sql).hexdigest()

    def __str__(self) -> str:
        return f"{self.number} {self.name}"


@cache
def known() -> tuple[Migration, ...]:
    """All migrations that this code has, in their order."""
    return tuple(sorted(map(Migration, FOLDER.glob("[0-9]*_*.sql")), key=lambda migration: migration.number))


def newest() -> int:
    """The version of a book that this code works with."""
    return known()[-1].number


def check_version(book: str, found: int | None) -> None:
    """BookError, which says what to do, unless this code works with a book of this version.

    `book` is what the message calls the book. `found` is None for an empty database.
    """
    if found is not None and found > newest():
        raise BookError(
            book,
            expected=f"at most version {newest()}, the newest that this Penstock knows",
            found=f"version {found}",
            todo="Install the newer Penstock.",
        )
    if found != newest():
        raise BookError(
            book,
            expected=f"version {newest()}",
            found=named(found),
            todo="Run `penstock migrate`.",
        )


def named(version: int | None) -> str:
    """A version in words."""
    if version is None:
        return "an empty database"
    return "a book from before books had versions" if version == BEFORE_VERSIONS else f"version {version}"
