"""The embedded Postgres server: binaries of a wheel, data in a folder, reached by unix socket only."""

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psutil

from penstock.file_lock import file_lock
from penstock.postgres.account import PLAIN, PostgresError, account
from penstock.postgres.data import find_data, place_data, remove_data
from penstock.postgres.programs import VERSION, programs
from penstock.processes import still_alive

LONGEST_SOCKET = 103  # bytes of sun_path on the least generous system (104 with its closing zero)
SOCKET = ".s.PGSQL.5432"
START_SECONDS = 60
CRASH_SECONDS = 15
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}
"""Of the server and its programs: they take nothing else from whoever starts them, no secret either."""

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


@dataclass(frozen=True)
class PostgresServer:
    """One server by its data folder and log file. Every method is safe to call from several processes at once.

    `data` is where the home has its data: the folder itself, or a link to it (see `place_data`).
    """

    data: Path
    log: Path
    defaults: Mapping[str, str] = field(default_factory=lambda: DEFAULTS)

    @property
    def folder(self) -> Path:
        """The data folder, whether or not it exists."""
        return find_data(self.data)

    def pid(self) -> int | None:
        """The pid of the postmaster that runs on this data folder, else None."""
        lines = self._postmaster()
        try:
            process = psutil.Process(int(lines[0]))
            return process.pid if str(self.folder) in process.cmdline() else None
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
            self.log.parent.mkdir(parents=True, exist_ok=True)
            self.log.touch(mode=0o600)
            folder = place_data(self.data)
            if not (folder / "PG_VERSION").exists():
                self._create()
            found = (folder / "PG_VERSION").read_text().strip()
            if found != str(VERSION):
                raise PostgresError(
                    str(folder),
                    expected=f"data of Postgres {VERSION}",
                    found=f"data of Postgres {found}",
                    todo="Upgrade it with pg_upgrade, or move the folder away.",
                )
            self._launch()
            return True

    def stop(self) -> bool:
        """Stop the server, ending its connections; False when it did not run."""
        if not self.folder.exists():
            return False
        with self._locked():
            pid = self.pid()
            if not pid:
                return False
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                process.send_signal(signal.SIGINT)  # a fast shutdown: connections are ended, data are written
                if still_alive([process], START_SECONDS):
                    raise PostgresError(
                        f"embedded Postgres, pid {pid}",
                        expected=f"an end within {START_SECONDS} s",
                        found="it still runs",
                        todo=f"Its log is {self.log}.",
                    )
            return True

    def remove(self) -> None:
        """Stop the server and delete its data, wherever they lie."""
        self.stop()
        remove_data(self.data)

    def _create(self) -> None:
        """Fill the empty data folder: made beside it and then renamed, so that it is whole or still empty."""
        made = self.folder.with_name(f"{self.folder.name}.new")
        shutil.rmtree(made, ignore_errors=True)  # what an interrupted attempt has left
        made.mkdir(mode=0o700)
        account().own(made)
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync", "--no-instructions"]
        options += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        options += [f"--set={name}={value}" for name, value in self.defaults.items()]
        command = [str(programs() / "initdb"), *options, "-D", str(made)]
        ended = subprocess.run(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd="/",
            check=False,
            env=ENVIRONMENT,
            **account().identity,
        )
        if ended.returncode:
            with self.log.open("ab") as log:
                log.write(ended.stderr)
            raise PostgresError(
                "initdb of the embedded Postgres",
                expected=f"to make {made}",
                found=f"exit code {ended.returncode}: {ended.stderr.decode(errors='replace').strip()[-1000:]}",
                todo=f"Its log is {self.log}.",
            )
        try:
            made.rename(self.folder)
        except OSError as error:
            raise PostgresError(
                str(self.folder),
                expected=f"data of Postgres {VERSION}, or an empty folder",
                found=f"other files ({error.strerror})",
                todo="Move the folder away.",
            ) from None

    def _postmaster(self) -> list[str]:
        try:
            return (self.folder / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def _launch(self) -> None:
        """Start the postmaster; after a crash, once the killed one's last children are gone."""
        sockets = self._make_socket_folder()
        deadline = time.monotonic() + (CRASH_SECONDS if self._postmaster() else 0)
        command = [str(programs() / "postgres"), "-D", str(self.folder)]
        command += ["-h", "", "-k", str(sockets), "-c", "unix_socket_permissions=0700"]
        while True:
            before = self.log.stat().st_size
            with self.log.open("ab") as output:
                child = subprocess.Popen(  # noqa: S603
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd="/",
                    env=ENVIRONMENT,
                    start_new_session=True,
                    **account().identity,
                )
            if self._wait_until_ready(child):
                return
            if time.monotonic() > deadline:
                with self.log.open("rb") as log:
                    log.seek(before)
                    said = log.read().decode(errors="replace").strip()
                raise PostgresError(
                    "embedded Postgres",
                    expected="to start",
                    found=f"exit code {child.returncode}: {said[-1000:]}",
                    todo=f"Its log is {self.log}.",
                )
            time.sleep(0.5)

    def _wait_until_ready(self, child: subprocess.Popen[bytes] | None = None) -> bool:
        """Wait until the server takes connections; False when `child`, which becomes it, ended instead.

        A server whose starter ended early may still be recovering.
        """
        deadline = time.monotonic() + START_SECONDS
        while True:
            lines = [line.strip() for line in self._postmaster()]
            if lines[7:] == ["ready"] and (child is None or lines[0] == str(child.pid)):
                return True
            if child and child.poll() is not None:
                return False
            if time.monotonic() > deadline:
                raise PostgresError(
                    "embedded Postgres", expected=f"ready within {START_SECONDS} s", todo=f"Its log is {self.log}."
                )
            time.sleep(0.02)

    def _socket_folder(self) -> Path:
        """The folder of the socket: that of the data, or where its path does not do, a temporary one."""
        folder = self.folder
        if len(os.fsencode(folder / SOCKET)) <= LONGEST_SOCKET and PLAIN.fullmatch(str(folder)):
            return folder
        name = f"penstock-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}"
        for temporary in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108  its owner is checked
            path = temporary / name
            fits = len(os.fsencode(path / SOCKET)) <= LONGEST_SOCKET and PLAIN.fullmatch(str(path))
            if fits and account().may("-x", temporary):
                return path
        raise PostgresError(
            "the socket of the embedded Postgres",
            expected=f"a temporary folder that uid {account().uid} may enter",
            found=tempfile.gettempdir(),
            todo="Set TMPDIR to one.",
        )

    def _make_socket_folder(self) -> Path:
        """The folder of the socket, for its owner alone: trust authentication rests on it."""
        folder = self._socket_folder()
        if folder == self.folder:
            return folder
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid not in {os.geteuid(), account().uid}:
            raise PostgresError(
                str(folder), expected="a folder of our own", found="another user's", todo="Remove it, or set TMPDIR."
            )
        folder.chmod(0o700)
        account().own(folder)
        return folder

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with file_lock(self.data.with_suffix(".lock"), "another command that starts or stops Postgres"):
            yield
