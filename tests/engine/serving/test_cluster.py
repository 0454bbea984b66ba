"""The local Ray head, without Ray Serve: its session, and what is half there."""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from penstock.processes import free_port
from penstock.serving.on_ray.cluster import RayCluster
from penstock.settings import Settings


@pytest.fixture
def settings(stack: None, tmp_path: Path) -> Iterator[Settings]:
    url = "postgresql://nobody@127.0.0.1:1/none"
    made = Settings(home=tmp_path, http_port=free_port(), test_url=url, prod_url=url, dagster_url=url)
    yield made
    RayCluster(made).stop()


def test_the_head_has_a_session_of_its_own_and_what_is_left_of_one_is_replaced(settings: Settings) -> None:
    """Who ends the group of the caller, as a Ctrl-C or `timeout` does, leaves the head."""
    first = RayCluster(settings).start()
    pids = [part.pid for part in first.parts]
    assert len(pids) == 2
    assert os.getsid(0) not in {os.getsid(pid) for pid in pids}
    assert os.getpgid(0) not in {os.getpgid(pid) for pid in pids}
    gcs, raylet = (psutil.Process(pid) for pid in pids)
    raylet.kill()
    psutil.wait_procs([raylet], timeout=10)
    assert RayCluster(settings).find() is None, "half a head is none"
    second = RayCluster(settings).start()
    assert RayCluster(settings).find() == second
    psutil.wait_procs([gcs], timeout=10)
    assert not gcs.is_running() or gcs.status() == psutil.STATUS_ZOMBIE


def test_what_ray_starts_last_does_not_outlive_its_starter(settings: Settings) -> None:
    """Seen: Ray's client server, started as `ray start` ends, stayed after `penstock down`."""
    session = os.getsid(RayCluster(settings).start().parts[0].pid)
    members = [
        process for process in psutil.process_iter(["cmdline"]) if process.pid and os.getsid(process.pid) == session
    ]
    assert len(members) >= 2
    psutil.wait_procs([one for one in members if "ray.util.client.server" in " ".join(one.info["cmdline"])], timeout=5)
    RayCluster(settings).stop()
    gone, alive = psutil.wait_procs(members, timeout=10)
    assert gone
    assert alive == []
