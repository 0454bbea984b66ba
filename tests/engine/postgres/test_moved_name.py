"""A name whose address changes is looked up anew for each connection of the serving side, so a failover may move it."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from penstock.postgres.book import Book
from penstock.testing import wait_for
from tests.engine.postgres.standby import freeze, primary_and_standby, thaw
from tests.engine.postgres.tcp_server import TcpServer
from tests.engine.postgres.test_failover import SECONDS
from tests.engine.serving import toy

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
SERVICE = """
import sys, time
from pathlib import Path
from penstock.serving.app import App
from penstock.settings import Settings
from penstock.testing import uvicorn_thread
from tests.engine.serving import toy

url, home = sys.argv[1:]
with uvicorn_thread(App(Settings(home=Path(home)), url, {toy.CONTRACT.model: toy.CONTRACT})) as port:
    print(port, flush=True)
    sys.stdin.read()
"""
NAME, PRIMARY, STANDBY = "books.example", "127.0.0.1", "127.0.0.2"


def with_own_hosts(hosts: Path, script: str, *arguments: str) -> list[str]:
    """The command that runs a script of Python where `hosts` is /etc/hosts."""
    inside = f"mount --bind {hosts} /etc/hosts && exec " + '"$@"'
    return ["unshare", "--mount", "sh", "-c", inside, "-", sys.executable, "-c", script, *arguments]


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
    command = with_own_hosts(hosts, REPLICA, server.url(host=NAME), str(hosts))
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    if "unshare:" in ran.stderr or "mount:" in ran.stderr:
        pytest.skip(ran.stderr)
    assert ran.stdout.split() == [PRIMARY, STANDBY], ran.stderr


@pytest.fixture
def servers(slow: None) -> Iterator[tuple[TcpServer, TcpServer]]:
    """The standby listens at another address, at the same port."""
    with primary_and_standby(STANDBY) as servers:
        yield servers


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_answers_go_on_within_seconds_of_the_name_moving_to_the_promoted_standby(
    servers: tuple[TcpServer, TcpServer], tmp_path: Path, how: str
) -> None:
    primary, standby = servers
    book, hosts, ids, refused = Book("test", primary.url()), tmp_path / "hosts", list[str](), set[int]()
    book.migrate()
    toy.publish_all(book)
    toy.release(book, str(tmp_path / "home" / "artifacts"), tmp_path)
    hosts.write_text(f"{PRIMARY} {NAME}\n")
    command = with_own_hosts(hosts, SERVICE, primary.url(host=NAME), str(tmp_path / "home"))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if not (port := process.stdout.readline()):
            pytest.skip("a mount namespace of one's own needs root")
        with httpx.Client(base_url=f"http://127.0.0.1:{port.strip()}", timeout=30) as http:

            def ask() -> bool:
                question = {"tank": f"t{len(ids)}", "valve": 3, "inflow": 40.0, "asked_at": "2026-01-01T05:30:00Z"}
                answer = http.post("/models/overflow/predict", json=question)
                if answer.status_code == 200:
                    ids.append(answer.json()["id"])
                else:
                    refused.add(answer.status_code)
                return answer.status_code == 200

            try:
                wait_for(lambda: ask() and len(ids) > 20, 20)
                if how == "killed":
                    primary.kill()
                else:
                    freeze(primary)
                assert not ask()
                with psycopg.connect(standby.url(host=STANDBY), autocommit=True) as connection:
                    connection.execute("SELECT pg_promote(true)")
                before = len(ids)
                assert not ask(), "the name has not moved"
                hosts.write_text(f"{STANDBY} {NAME}\n")
                moved = time.monotonic()
                wait_for(ask, 20)
                answered = time.monotonic() - moved
                wait_for(lambda: ask() and len(ids) > before + 20 and http.get("/readyz").status_code == 200, 20)
                ready = time.monotonic() - moved
            finally:
                thaw(primary)
                process.kill()
    print(f"{how}: answered {answered:.2f} s after the name had moved, ready {ready:.2f} s")
    assert ready < SECONDS, "answering, and watching its pointers"
    assert refused == {503}
    with psycopg.connect(standby.url(host=STANDBY)) as connection:
        kept = {str(id_) for (id_,) in connection.execute("SELECT id::text FROM app.prediction")}
    assert len(ids) > 40
    assert set(ids) <= kept
