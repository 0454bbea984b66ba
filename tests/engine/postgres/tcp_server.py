"""A Postgres server on a TCP port of loopback, with passwords, and where wanted with TLS or as a standby of another."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from penstock.postgres.account import account
from penstock.postgres.programs import programs

PASSWORD = "p@ss/word:1%"
QUOTED = "p%40ss%2Fword%3A1%25"
DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
"""Servers of Debian's packages, which have TLS; the embedded one was built without."""
needs_debians = pytest.mark.skipif(not DEBIAN, reason="apt-get install postgresql")
SETTINGS = {"fsync": "off", "unix_socket_directories": "", "listen_addresses": "127.0.0.1", "max_connections": "60"}


@dataclass
class TcpServer:
    """A server by its folder, which nobody may enter but its account."""

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    programs: Path = field(default_factory=programs)
    port: int = 0

    def __post_init__(self) -> None:
        self.port = self.port or _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, host: str = "127.0.0.1", more: str = "", database: str = "postgres") -> str:
        return f"postgresql://postgres:{QUOTED}@{host}:{self.port}/{database}{more}"

    def create(self) -> None:
        self._make_folder()
        password = self.folder / "password"
        password.write_text(PASSWORD)
        account().own(self.folder)
        self._run("initdb", "-U", "postgres", f"--pwfile={password}", "--auth=scram-sha-256", "-E", "UTF8", "--no-sync",
                  "--locale=C", "-D", str(self.data))  # fmt: skip
        with (self.data / "pg_hba.conf").open("a") as hba:
            hba.write("host replication all 127.0.0.1/32 scram-sha-256\n")
        self.configure(self.settings)

    def create_standby_of(self, primary: "TcpServer", name: str) -> None:
        self._make_folder()
        account().own(self.folder)
        self._run("pg_basebackup", "-D", str(self.data), "-R", "-X", "stream", "--checkpoint=fast", "-d",
                  primary.url(more=f"?application_name={name}").replace("/postgres?", "/?"))  # fmt: skip
        self.configure(self.settings)

    def configure(self, settings: Mapping[str, str]) -> None:
        with (self.data / "postgresql.auto.conf").open("a") as conf:
            for name, value in {**SETTINGS, "port": str(self.port), **settings}.items():
                conf.write(f"{name} = '{value}'\n")

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self.programs / "postgres"), "-D", str(self.data)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env=_environment(), **account().identity,
            )  # fmt: skip
        until = time.monotonic() + 30
        while "ready" not in _last_line(self.data / "postmaster.pid"):
            if time.monotonic() > until or self._process.poll() is not None:
                pytest.fail((self.folder / "log").read_text())
            time.sleep(0.02)

    def promote(self) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute("SELECT pg_promote(true)")

    def kill(self) -> None:
        """End it at once, as when its machine loses power."""
        if self._process is not None:
            self._run("pg_ctl", "stop", "-m", "immediate", "-D", str(self.data), check=False)
            self._process.wait(10)
            self._process = None

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make_folder(self) -> None:
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o755)

    def _run(self, program: str, *arguments: str, check: bool = True) -> None:
        ran = subprocess.run([str(self.programs / program), *arguments], capture_output=True, text=True, cwd="/",
                             env=_environment(), check=False, **account().identity)  # fmt: skip
        assert not check or ran.returncode == 0, ran.stderr


def _environment() -> dict[str, str]:
    return {"PATH": os.defpath, "LC_ALL": "C"}


def _last_line(path: Path) -> str:
    try:
        return path.read_text().splitlines()[-1]
    except (OSError, IndexError):
        return ""


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
