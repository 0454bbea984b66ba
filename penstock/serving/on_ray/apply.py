"""Deploy a Serve config on a running Ray, and wait until it serves."""

import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

import ray
import yaml
from ray import serve
from ray.serve.config import HTTPOptions, ProxyLocation
from ray.serve.schema import (
    ApplicationStatus,
    DeploymentDetails,
    DeploymentStatusOverview,
    LoggingConfig,
    ServeDeploySchema,
)

from penstock.errors import PenstockError
from penstock.log_text import cause
from penstock.serving.on_ray import compat

SECONDS = 90.0
"""How long nothing may change before a deploy has failed: a replica that leaves holds its CPUs for 35 s."""

PLACE = (
    "A replica that Ray does not place needs a node with num_cpus free and fewer replicas than max_replicas_per_node:"
    " add a node, or change these numbers in the serve_config.yaml."
)


class State(NamedTuple):
    """What an application is: its status, what was said about it, deployment -> state -> how many replicas, and where
    it has failed, whether Ray goes on nevertheless."""

    status: ApplicationStatus
    said: tuple[str, ...]
    replicas: Mapping[str, Mapping[str, int]]
    goes_on: bool = False


class ApplyError(PenstockError):
    """A config does not come to serve."""


def connect(address: str) -> float:
    """Connect this process to a running Ray; returns how many CPUs its nodes have for replicas."""
    ray.init(address, namespace="serve", log_to_driver=False, logging_level=logging.ERROR)
    return float(ray.cluster_resources().get("CPU", 0))  # type: ignore[no-untyped-call]  # Ray's own


def apply(config: dict[str, Any]) -> None:
    """Deploy a config and wait until its applications run; ApplyError says why one does not."""
    checked = ServeDeploySchema.model_validate(config)
    serve.start(
        proxy_location=ProxyLocation(config["proxy_location"]),
        http_options=HTTPOptions(**config["http_options"]),
        logging_config=LoggingConfig(**config["logging_config"]),
    )
    client = compat.serve_client()
    if client is None:
        _deploy_by_command(config)
    else:
        client.deploy_apps(checked)
    wait([application.name for application in checked.applications], _states)


def wait(names: Iterable[str], look: Callable[[], Mapping[str, State]]) -> None:
    """Wait until applications run; ApplyError says why one does not, or that nothing has changed for SECONDS."""
    wanted = set(names)
    seen, end = "", time.monotonic() + SECONDS
    while True:
        states = {name: state for name, state in look().items() if name in wanted}
        if states.keys() == wanted and all(state.status == ApplicationStatus.RUNNING for state in states.values()):
            return
        if str(states) != seen:
            seen, end = str(states), time.monotonic() + SECONDS
        for name, state in states.items():
            waits = state.goes_on and time.monotonic() < end
            if state.status == ApplicationStatus.DEPLOY_FAILED and not waits:
                raise ApplyError(f"application {name!r}", expected="to serve", found=_why(state))
        if time.monotonic() > end:
            raise _stuck(states.values())
        time.sleep(0.1)


def goes_on(deployments: Iterable[DeploymentStatusOverview | DeploymentDetails]) -> bool:
    """Whether deployments failed only by replicas that served and ended, killed for instance: Ray calls that a failure
    while it deploys, replaces them, and goes on until it has replaced many."""
    failed = [one for one in deployments if one.status.value == "DEPLOY_FAILED"]
    return bool(failed) and all(one.status_trigger.value == "HEALTH_CHECK_FAILED" for one in failed)


def _states() -> dict[str, State]:
    found = {}
    for name, application in serve.status().applications.items():
        deployments = application.deployments
        replicas = {one: {str(state): n for state, n in d.replica_states.items()} for one, d in deployments.items()}
        said = tuple(one.message for one in deployments.values() if one.message) or (application.message,)
        found[name] = State(application.status, said, replicas, goes_on(deployments.values()))
    return found


def _stuck(states: Collection[State]) -> ApplyError:
    """What there was of each deployment when nothing changed any longer, and what Ray says about it."""
    counts = [
        f"{name}: " + ", ".join(f"{n} {what.removeprefix('ReplicaState.')}" for what, n in found.items())
        for state in states
        for name, found in state.replicas.items()
    ]
    said = [_why(state) for state in states if any(state.said)]
    return ApplyError(
        "the service",
        expected="to serve",
        found="\n".join([f"nothing new for {SECONDS:.0f} s: {'; '.join(counts) or 'no deployment'}", *said]),
        todo=PLACE if any("STARTING" in one for one in counts) else "",
    )


def _why(state: State) -> str:
    """Why an application failed, in the words of the replica or of the import that failed."""
    return cause("\n".join(state.said)) or "\n".join(state.said)


def _deploy_by_command(config: dict[str, Any]) -> None:
    """Deploy a config by the command `serve run`. `serve.run` of Ray's public API would restart all replicas."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(config, file)
        file.flush()
        address = ray.get_runtime_context().gcs_address
        command = [sys.executable, "-m", "ray.serve.scripts", "run", "--non-blocking", f"--address={address}"]
        done = subprocess.run([*command, file.name], check=False, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        raise ApplyError("serve run", expected="to deploy the config", found=cause(done.stderr))
