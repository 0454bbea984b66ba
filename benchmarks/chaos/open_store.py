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

from benchmarks import ROOT
from benchmarks.chaos import faulty_store
from benchmarks.chaos.faulty_store import Fault
from benchmarks.chaos.nodes import Node
from penstock.processes import end_tree

PORT = 5000
READY_SECONDS = 60.0
BUCKET = "artifacts"


@dataclass(frozen=True)
class OpenStore:
    """A store by its URL. `environment` are the variables by which whoever uses it finds it."""

    url: str
    environment: Mapping[str, str]
    file: Path

    @contextmanager
    def faulty(self, fault: Fault) -> Iterator[None]:
        """Let artifacts be read so while the context is open."""
        self.file.write_text(fault)
        try:
            yield
        finally:
            self.file.write_text("")


@contextmanager
def opened_store(node: Node, artifacts: str, folder: Path) -> Iterator[OpenStore]:
    """Run it until the context ends, with a copy of the folder `artifacts`. Its own files are in `folder`."""
    variables = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{node.address}:{PORT}",
    }
    made = OpenStore(f"s3://{BUCKET}/all", variables, folder / "store-fault")
    made.file.write_text("")
    command = [sys.executable, "-m", faulty_store.__name__, node.address, str(PORT), str(made.file)]
    with (folder / "store.log").open("ab") as output:
        process = subprocess.Popen(
            node.command(command),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    os.environ |= variables
    try:
        _fill(artifacts)
        yield made
    finally:
        for name in variables:
            os.environ.pop(name, None)
        with suppress(psutil.NoSuchProcess):
            end_tree(psutil.Process(process.pid), grace=0)


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
