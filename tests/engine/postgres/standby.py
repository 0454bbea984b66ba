"""A primary with a streaming standby, and the primary stopped in the middle as a machine that hangs is."""

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg

from penstock.testing import wait_for
from tests.engine.postgres.tcp_server import TcpServer


@contextmanager
def primary_and_standby(standby_at: str = "") -> Iterator[tuple[TcpServer, TcpServer]]:
    """A primary that commits when its standby has, and its standby, at `standby_at` by the same port, if given."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        primary = TcpServer(Path(folder) / "primary")
        settings, port = ({"listen_addresses": standby_at}, primary.port) if standby_at else ({}, 0)
        standby = TcpServer(Path(folder) / "standby", settings, port=port)
        try:
            primary.create()
            primary.start()
            standby.create_standby_of(primary, "standby")
            standby.start()
            primary.configure({"synchronous_standby_names": "standby"})
            with psycopg.connect(primary.url(), autocommit=True) as connection:
                connection.execute("SELECT pg_reload_conf()")
                wait_for(lambda: _synchronous(connection), 10)
            yield primary, standby
        finally:
            primary.remove()
            standby.remove()


def freeze(server: TcpServer) -> None:
    for process in _processes(server):
        process.send_signal(signal.SIGSTOP)


def thaw(server: TcpServer) -> None:
    for process in _processes(server):
        process.send_signal(signal.SIGCONT)


def _synchronous(connection: psycopg.Connection) -> bool:
    return connection.execute("SELECT sync_state FROM pg_stat_replication").fetchall() == [("sync",)]


def _processes(server: TcpServer) -> list[psutil.Process]:
    if server._process is None:
        return []
    main = psutil.Process(server._process.pid)
    return [main, *main.children(recursive=True)]
