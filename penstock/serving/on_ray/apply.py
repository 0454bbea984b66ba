"""Deploy a Serve config on a running Ray, and wait until it serves."""

import logging
import subprocess
import sys
import tempfile
import time
from typing import Any

import ray
import yaml
from ray import serve
from ray.serve.config import HTTPOptions, ProxyLocation
from ray.serve.schema import ApplicationStatus, LoggingConfig, ServeDeploySchema

from penstock.errors import PenstockError
from penstock.log_text import cause
from penstock.serving.on_ray import compat

SECONDS = 90.0
"""How long nothing may change before a deploy has failed: a replica that leaves holds its CPUs for 35 s."""


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
    seen, end = "", time.monotonic() + SECONDS
    while True:
        found = serve.status().applications
        states = {app.name: found[app.name] for app in checked.applications if app.name in found}
        if len(states) == len(checked.applications):
            if all(state.status == ApplicationStatus.RUNNING for state in states.values()):
                return
            for name, state in states.items():
                if state.status == ApplicationStatus.DEPLOY_FAILED:
                    raise ApplyError(f"application {name!r}", expected="to serve", found=_why(state))
        now = str({name: state.deployments for name, state in states.items()})
        if now != seen:
            seen, end = now, time.monotonic() + SECONDS
        if time.monotonic() > end:
            counts = {d: dict(one.replica_states) for s in states.values() for d, one in s.deployments.items()}
            found_ = f"nothing new for {SECONDS:.0f} s: {counts or 'no deployment'}"
            raise ApplyError("the service", expected="to serve", found=found_)
        time.sleep(0.1)


def _why(state: Any) -> str:
    """Why an application failed, in the words of the replica or of the import that failed."""
    messages = [one.message for one in state.deployments.values() if one.message]
    return cause("\n".join(messages or [state.message])) or state.message


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
