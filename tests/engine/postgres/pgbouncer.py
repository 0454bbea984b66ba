"""A real PgBouncer in front of a test server, as operators run one."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
needs_pgbouncer = pytest.mark.skipif(PROGRAM is None, reason="apt-get install pgbouncer")


@contextmanager
def pgbouncer(folder: Path, url: str, mode: str) -> Iterator[str]:
    """The URL of the same database through a PgBouncer of this pool mode, while the context is open."""
    assert PROGRAM is not None
    server = conninfo_to_dict(url)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    (folder / "users.txt").write_text('"postgres" ""\n"only_penstock_service" ""\n"only_penstock_pipeline" ""\n')
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host={server['host']} port={server.get('port', 5432)}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = trust\n"
        f"auth_file = {folder}/users.txt\npool_mode = {mode}\nunix_socket_dir =\ndefault_pool_size = 20\n"
    )
    user = (
        ["--user=nobody"] if os.geteuid() == 0 else []
    )  # it does not run as root, and the server's socket is nobody's
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([PROGRAM, *user, str(folder / "pgbouncer.ini")], stdout=log, stderr=log)
    pooled = f"postgresql://{server['user']}@127.0.0.1:{port}/{server['dbname']}"
    try:
        _wait(pooled, folder)
        yield pooled
    finally:
        process.terminate()
        process.wait(10)


def _wait(url: str, folder: Path) -> None:
    until = time.monotonic() + 10
    while True:
        try:
            with psycopg.connect(url, autocommit=True):
                return
        except psycopg.OperationalError:
            if time.monotonic() > until:
                pytest.fail((folder / "log").read_text())
            time.sleep(0.05)
