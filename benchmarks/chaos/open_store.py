"""A store that speaks S3 (moto), on a node, filled with the artifacts of a home."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import fsspec
import psutil

from benchmarks.chaos.nodes import Node

PORT = 5000
READY_SECONDS = 60.0
BUCKET = "artifacts"


@dataclass(frozen=True)
class OpenStore:
    """A store by its URL. `environment` are the variables by which whoever uses it finds it."""

    url: str
    node: Node
    environment: Mapping[str, str]

    def processes(self) -> list[psutil.Process]:
        """The store's own process."""
        return [process for process in self.node.named("moto.server") if process.name() != "nsenter"]


@contextmanager
def opened_store(node: Node, artifacts: str, log: Path) -> Iterator[OpenStore]:
    """Run it until the context ends, with a copy of what the folder `artifacts` holds."""
    variables = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{node.address}:{PORT}",
    }
    made = OpenStore(f"s3://{BUCKET}/all", node, variables)
    command = [sys.executable, "-m", "moto.server", "-H", node.address, "-p", str(PORT)]
    with log.open("ab") as output:
        subprocess.Popen(
            node.command(command), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    os.environ |= variables
    try:
        _fill(artifacts)
        yield made
    finally:
        for name in variables:
            os.environ.pop(name, None)
        for process in made.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()


def _fill(artifacts: str) -> None:
    files, end = fsspec.filesystem("s3", skip_instance_cache=True), time.monotonic() + READY_SECONDS
    while True:
        try:
            files.mkdir(BUCKET)
        except FileExistsError:  # made by an attempt whose answer came too late
            break
        except Exception:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
        else:
            break
    files.put(f"{artifacts}/", f"{BUCKET}/all/", recursive=True)
    type(files).clear_instance_cache()
