"""The Postgres of a home, for a while on a node of its own, so that the nodes of a cluster reach it."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil
import psycopg

from benchmarks.chaos.nodes import Node
from penstock.postgres.account import account
from penstock.postgres.databases import Databases
from penstock.postgres.programs import programs
from penstock.postgres.server import ENVIRONMENT
from penstock.settings import Settings

PORT = 5432
READY_SECONDS = 30.0
SAYING = (
    *("-c", "log_min_duration_statement=300ms", "-c", "log_lock_waits=on", "-c", "deadlock_timeout=300ms"),
    *("-c", "log_checkpoints=on", "-c", "log_line_prefix=%m %h "),
)
"""Its log tells why an answer was late: statements and waits for locks of 0.3 s, and checkpoints."""


@dataclass(frozen=True)
class OpenPostgres:
    """A server on a node. `settings` have its URLs."""

    settings: Settings
    node: Node
    data: Path
    log: Path

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        command = [str(programs() / "postgres"), "-D", str(self.data), "-h", self.node.address, "-p", str(PORT)]
        own = account()
        become = ["setpriv", f"--reuid={own.uid}", f"--regid={own.gid}", "--clear-groups"] if own.switch else []
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            subprocess.Popen(
                self.node.command([*become, *command, "-k", "", *SAYING]),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=ENVIRONMENT,
                start_new_session=True,
            )
        _wait(f"postgresql://postgres@{self.node.address}:{PORT}/postgres")

    def stop(self) -> None:
        """End it by a fast shutdown, which ends its sessions."""
        first = [process for process in self._processes() if _is_first(process)]
        for process in first:
            process.send_signal(2)
        psutil.wait_procs(first, READY_SECONDS)

    def sessions(self) -> list[psutil.Process]:
        """Its sessions, and what writes and checkpoints beside them: all but its first process."""
        return [process for process in self._processes() if not _is_first(process)]

    def _processes(self) -> list[psutil.Process]:
        found = []
        for process in self.node.processes():
            with suppress(psutil.NoSuchProcess):
                found += [process] if process.name() == "postgres" else []
        return found


def _is_first(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return "-D" in process.cmdline()
    return False


@contextmanager
def opened(settings: Settings, node: Node, network: str) -> Iterator[OpenPostgres]:
    """Run the home's server on `node`, for everybody of `network`."""
    embedded = Databases(settings).server()
    embedded.stop()
    access = embedded.folder / "pg_hba.conf"
    line = f"host all all {network} trust\n"
    if line not in access.read_text():
        access.write_text(access.read_text() + line)
    url = f"postgresql://postgres@{node.address}:{PORT}/penstock_"
    reached = msgspec.structs.replace(
        settings, test_url=f"{url}test", prod_url=f"{url}prod", dagster_url=f"{url}dagster"
    )
    made = OpenPostgres(reached, node, embedded.folder, settings.home / "logs" / "open-postgres.log")
    made.start()
    try:
        yield made
    finally:
        made.stop()


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
