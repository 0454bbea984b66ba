"""Deploys, each from what the one before has left, and replicas that are killed in the middle of one."""

import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from http import HTTPStatus

import httpx
import psutil

from benchmarks.chaos.deploy_project import APPLICATION, UNABLE, Project, write_keys
from benchmarks.chaos.events import CALM_SECONDS, Event
from benchmarks.service.clients import Clients
from benchmarks.service.stand import Stand
from penstock.serving.on_ray.loopback import LOOPBACK

KEY = "x-api-key"
ASKED = 20
"""Questions by which each replica is reached."""


def events(stood: Stand, project: Project, asking: Clients) -> Iterator[Event]:
    """All deploys."""
    many = project.replicas

    def scaled(replicas: int) -> Callable[[], None]:
        def scale() -> None:
            project.replicas = replicas
            project.deploy()

        return scale

    yield Event("nothing", lambda: time.sleep(CALM_SECONDS))
    arguments = {} if project.arguments else {"book": "prod"}  # which say the same
    yield Event("changed args", lambda: project.set(arguments=arguments))
    changed = project.options.get("max_ongoing_requests") == 256  # by an earlier rate
    yield Event("changed limit", lambda: project.set(max_ongoing_requests=300 if changed else 256))
    yield Event("changed resources", lambda: project.set(ray_actor_options={"num_cpus": 0.25 if changed else 0.2}))
    yield Event("one more replica", scaled(many + 1))
    yield Event("one replica fewer", scaled(many))
    yield Event("changed code", project.change_code)
    yield Event("a file that does not import", lambda: project.deploy(broken=True))
    yield Event("a replica that does not start", lambda: project.deploy(application=APPLICATION + UNABLE))
    yield Event("back", project.back)
    yield Event("rotated keys", lambda: rotate(project, LOOPBACK, stood.headers, asking.headers))
    started, serving = partial(_started, stood), stood.answering
    yield Event("a new replica killed as it starts", lambda: _kill_in_a_roll(stood, project, started, new=True))
    yield Event("a new replica killed once it serves", lambda: _kill_in_a_roll(stood, project, serving, new=True))
    if many > 1:
        yield Event("an old replica killed in a roll", lambda: _kill_in_a_roll(stood, project, started, new=False))
        yield Event("one replica killed", lambda: _kill(stood, project))


def rotate(project: Project, host: str, *sent: dict[str, str]) -> None:
    """Add a key, put it into the headers that are `sent` once it is deployed, and remove the old one. `host` then
    refuses the old key."""
    settings, old, new = project.stood.settings, sent[0][KEY], secrets.token_hex()
    write_keys(settings, old, new)
    project.deploy()
    for headers in sent:
        headers[KEY] = new
    time.sleep(CALM_SECONDS)
    write_keys(settings, new)
    project.deploy()
    for _ in range(ASKED):
        refused = httpx.get(f"http://{host}:{settings.http_port}/state", headers={KEY: old})
        assert refused.status_code == HTTPStatus.UNAUTHORIZED, "a key that was removed is still valid"


def _kill_in_a_roll(stood: Stand, project: Project, reached: Callable[[], set[int]], *, new: bool) -> None:
    """Deploy code that differs, and when a new replica is among those `reached`, kill that one or an old one."""
    before = _started(stood)
    with ThreadPoolExecutor(1) as side:
        deployed = side.submit(project.change_code)
        while not (found := reached() - before):
            if deployed.done():
                deployed.result()
                raise AssertionError("no replica was replaced")
            time.sleep(0.05)
        with suppress(psutil.NoSuchProcess):
            psutil.Process(min(found if new else before)).kill()
        deployed.result()


def _started(stood: Stand) -> set[int]:
    """The pids of the replicas that run, whether they answer or not."""
    return {process.pid for process in stood.processes("replica")}


def _kill(stood: Stand, project: Project) -> None:
    stood.kill("replica")
    time.sleep(CALM_SECONDS)
    stood.wait_for_replicas(project.replicas)
