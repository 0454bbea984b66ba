"""The Postgres of a home, for a while on an address of the machine too, so that nodes of a cluster reach it."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import msgspec
import psutil
import psycopg

from penstock.postgres.account import account
from penstock.postgres.databases import Databases
from penstock.postgres.programs import programs
from penstock.postgres.server import ENVIRONMENT
from penstock.settings import Settings

PORT = 5432
READY_SECONDS = 30.0


@contextmanager
def opened(settings: Settings, host: str, network: str) -> Iterator[Settings]:
    """Run the home's server on `host` for everybody of `network`; yields the settings with its URLs there."""
    embedded = Databases(settings).server()
    embedded.stop()
    access = embedded.folder / "pg_hba.conf"
    line = f"host all all {network} trust\n"
    if line not in access.read_text():
        access.write_text(access.read_text() + line)
    command = [str(programs() / "postgres"), "-D", str(embedded.folder), "-h", host, "-p", str(PORT), "-k", ""]
    log = settings.home / "logs" / "open-postgres.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        running = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env=ENVIRONMENT,
            **account().identity,
        )
    try:
        _wait(f"postgresql://postgres@{host}:{PORT}/postgres")
        url = f"postgresql://postgres@{host}:{PORT}/penstock_"
        yield msgspec.structs.replace(
            settings, test_url=f"{url}test", prod_url=f"{url}prod", dagster_url=f"{url}dagster"
        )
    finally:
        with suppress(psutil.NoSuchProcess):
            running.send_signal(2)  # a fast shutdown
            running.wait(READY_SECONDS)


def _wait(url: str) -> None:
    end = time.monotonic() + READY_SECONDS
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return
