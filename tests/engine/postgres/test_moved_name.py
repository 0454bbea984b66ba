"""A name whose address changes is looked up anew for each connection of the serving side."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.postgres.tcp_server import TcpServer

REPLICA = """
import asyncio, pathlib, sys, uvloop
from penstock.lookups.connection import connect

async def main(url, hosts):
    for address in ("127.0.0.1", "127.0.0.2"):
        pathlib.Path(hosts).write_text(f"{address} books.example\\n")
        connection = await connect(url, seconds=10)
        print(await connection.fetchval("SELECT host(inet_server_addr())"))
        connection.terminate()

uvloop.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def server() -> Iterator[TcpServer]:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        made = TcpServer(Path(folder) / "server", settings={"listen_addresses": "127.0.0.1,127.0.0.2"})
        try:
            made.create()
            made.start()
            yield made
        finally:
            made.remove()


@pytest.mark.slow
def test_a_new_connection_goes_to_the_address_that_the_name_has_now(server: TcpServer, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.touch()
    inside = f"mount --bind {hosts} /etc/hosts && exec " + '"$@"'
    command = ["unshare", "--mount", "sh", "-c", inside, "-", sys.executable, "-c", REPLICA]
    ran = subprocess.run(
        [*command, server.url(host="books.example"), str(hosts)], check=False, capture_output=True, text=True
    )
    if "unshare:" in ran.stderr or "mount:" in ran.stderr:
        pytest.skip(ran.stderr)
    assert ran.stdout.split() == ["127.0.0.1", "127.0.0.2"], ran.stderr
