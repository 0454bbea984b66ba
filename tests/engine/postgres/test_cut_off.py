"""A replica's statement that its node could not send, and that was given up, is never run."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from benchmarks.chaos.nodes import Node, hindrance, nodes
from benchmarks.chaos.open_postgres import OpenPostgres, opened
from penstock.postgres.databases import Databases
from penstock.settings import Settings
from penstock.testing import wait_for
from tests.checkout import PROJECT

CUT_OFF_SECONDS = 4.0
"""For so long Linux keeps a packet while it asks which machine has an address."""
CONNECTED_SECONDS = 8.0
"""Within this time Linux sends again what a closed socket still had to send."""
REPLICA = """
import asyncio, pathlib, sys
from penstock.lookups.connection import connect

async def main(url, folder):
    connection = await connect(url, seconds=10)
    pathlib.Path(folder, "connected").touch()
    while not pathlib.Path(folder, "cut off").exists():
        await asyncio.sleep(0.02)
    try:
        async with asyncio.timeout(0.8):
            await connection.execute("INSERT INTO late VALUES (1)")
    except TimeoutError:
        connection.terminate()
    await asyncio.sleep(0.1)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def stood(tmp_path: Path) -> Iterator[tuple[Node, OpenPostgres]]:
    if reason := hindrance():
        pytest.skip(reason)
    settings = Databases(Settings(home=tmp_path / "books", project=PROJECT)).resolve()
    try:
        with nodes(2, tmp_path) as made, opened(settings, made.nodes[1], made.network) as books:
            yield made.nodes[0], books
    finally:
        Databases(settings).stop()


@pytest.mark.slow
def test_what_could_not_be_sent_is_not_sent_when_the_network_is_back(
    stood: tuple[Node, OpenPostgres], tmp_path: Path
) -> None:
    node, postgres = stood
    url = postgres.settings.prod_url
    with psycopg.connect(url, autocommit=True) as observer:
        observer.execute("CREATE TABLE late (n int)")
        running = subprocess.Popen(node.command([sys.executable, "-c", REPLICA, url, str(tmp_path)]))
        assert wait_for((tmp_path / "connected").exists, 30)
        node.cut_off()
        (tmp_path / "cut off").touch()
        assert running.wait(30) == 0
        time.sleep(CUT_OFF_SECONDS)
        node.connect()
        time.sleep(CONNECTED_SECONDS)
        found = observer.execute("SELECT count(*) FROM late").fetchone()
    assert found == (0,)
