"""The account that runs the embedded Postgres server, and the private folders that it can enter."""

import os
import pwd
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.errors import PenstockError

SERVER_USER = "nobody"  # whom root becomes, since Postgres refuses to run as root
LASTING = Path("/var/lib/penstock")
"""Root's private folder, for the data and programs of a home or installation that `nobody` cannot enter."""
PLAIN = re.compile(r"[A-Za-z0-9/._@+=-]+")
"""Paths that need no quoting in a shell, in a URL and in Postgres' list of socket folders."""


class PostgresError(PenstockError):
    """The embedded Postgres server cannot be created, started or stopped."""


@dataclass(frozen=True)
class Account:
    """The account that runs the server: no groups but its own, no rights beyond its own files."""

    uid: int
    gid: int
    switch: bool
    """Whether this process runs as root, and its programs have to become this account first."""

    @property
    def identity(self) -> dict[str, Any]:
        """The arguments with which `subprocess` starts a program as this account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.switch else {}

    def may(self, test: str, path: Path) -> bool:
        """Whether test(1) succeeds for this account on a path, with a test such as `-x`."""
        command = ["/bin/sh", "-c", f'test {test} "$1"', "sh", str(path)]
        return subprocess.run(command, cwd="/", check=False, **self.identity).returncode == 0  # noqa: S603

    def own(self, path: Path) -> None:
        """Let this account own a file, or a folder with everything in it."""
        if self.switch:
            for each in (path, *(path.rglob("*") if path.is_dir() else ())):
                os.chown(each, self.uid, self.gid, follow_symlinks=False)

    def runs(self, command: Sequence[str]) -> bool:
        """Whether a program starts as this account and ends well."""
        try:
            return subprocess.run(command, cwd="/", check=False, capture_output=True, **self.identity).returncode == 0  # noqa: S603
        except OSError:
            return False


def account() -> Account:
    """The account of the server: that of this process, or instead of root the unprivileged account `nobody`."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), switch=False)
    try:
        found = pwd.getpwnam(SERVER_USER)
    except KeyError:
        raise PostgresError(
            f"account {SERVER_USER}",
            expected="on this machine, to run the embedded Postgres instead of root",
            found="none",
            todo="Create it, or run Penstock as a user.",
        ) from None
    return Account(found.pw_uid, found.pw_gid, switch=True)


def private_parents(*, lasting: bool = True) -> Iterator[Path]:
    """The folders in which private folders can be made, the best first. None has to exist.

    `lasting` prefers one that outlives a restart of the machine, which only root has.
    """
    temporary = [Path(tempfile.gettempdir()), Path("/tmp")]  # noqa: S108  the folders' owner is checked
    known = [folder / f"penstock-{os.geteuid()}" for folder in temporary]
    if os.geteuid() == 0:
        known.insert(0 if lasting else len(known), LASTING)
    yield from (parent for parent in dict.fromkeys(known) if PLAIN.fullmatch(str(parent)))


def make_parent(parent: Path) -> None:
    """Make a folder that all may enter and only this user may change; PermissionError if that is not possible."""
    if account().switch and not account().may("-x", parent.parent):
        raise PermissionError(1, f"uid {account().uid} may not enter {parent.parent}", str(parent))
    parent.mkdir(exist_ok=True)
    if parent.is_symlink() or parent.stat().st_uid != os.geteuid():
        raise PermissionError(1, "it belongs to another user", str(parent))
    parent.chmod(0o755)
