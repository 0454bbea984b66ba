"""A server of ClickHouse's HTTP, see `clickhouse_server.py`."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.checkout import ROOT


@pytest.fixture(scope="session")
def clickhouse_url(slow: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server, with a password."""
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.engine.warehouse.clickhouse_server", str(tmp_path_factory.mktemp("server"))],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        assert server.stdout is not None
        yield f"clickhouse://me:hunter2@127.0.0.1:{int(server.stdout.readline())}/default"
    finally:
        server.kill()
        server.wait()
