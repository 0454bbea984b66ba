"""What one more replica costs in memory, once it answers as the first does."""

import time
from contextlib import suppress

import click
import httpx
import psutil
import yaml

from benchmarks.service.load import measure
from benchmarks.service.targets import Target
from penstock.processes import memory
from penstock.serving.deploying.deploy import Rollout
from penstock.settings import Settings

CONFIG = "serve_config.yaml"
SETTLE_SECONDS = 3.0
PATIENCE_SECONDS = 90


def further_replica(settings: Settings, target: Target) -> float:
    """MB (PSS over all of Ray's processes) that a second replica adds, both having answered under load."""
    path = settings.home / CONFIG
    measure(target, 8, SETTLE_SECONDS)
    before, first = target.memory(), {process.pid for process in target.answering()}
    config = yaml.safe_load(path.read_text())
    config["applications"][0]["deployments"][0]["autoscaling_config"] |= {"min_replicas": 2, "max_replicas": 2}
    path.write_text(yaml.safe_dump(config))
    Rollout(settings).apply(path)
    state = target.url.split("/models/")[0] + "/state"
    end = time.monotonic() + PATIENCE_SECONDS
    while len({httpx.get(state).json()["replica"] for _ in range(20)}) < 2:
        if time.monotonic() > end:
            raise TimeoutError("no second replica answers")
        time.sleep(0.5)
    measure(target, 16, SETTLE_SECONDS)
    time.sleep(SETTLE_SECONDS)  # workers of Ray that are done go
    added = (target.memory() - before) / 1e6
    for process in target.answering():
        if process.pid not in first:
            click.echo(f"new process {_name(process)} {memory([process]) / 1e6:.0f} MB PSS", err=True)
    return added


def _name(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())[:60]
    return "gone"
