"""Deploy a Serve config on a running Ray: `python -m penstock.serving.on_ray.apply ADDRESS FILE`."""

import logging
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import ray
import yaml
from ray import serve
from ray.serve.config import HTTPOptions, ProxyLocation
from ray.serve.schema import ApplicationStatus, LoggingConfig, ServeDeploySchema

from penstock import settings
from penstock.serving.on_ray import compat

SECONDS = 90.0


def apply(address: str, config: dict[str, Any]) -> None:
    """Deploy a config and wait until its applications run; SystemExit says what did not."""
    ray.init(address, namespace="serve", log_to_driver=False, logging_level=logging.ERROR)
    checked = ServeDeploySchema.model_validate(config)
    serve.start(
        proxy_location=ProxyLocation(config["proxy_location"]),
        http_options=HTTPOptions(**config["http_options"]),
        logging_config=LoggingConfig(**config["logging_config"]),
    )
    client = compat.serve_client()
    if client is None:
        _deploy_by_command(address, config)
    else:
        client.deploy_apps(checked)
    end = time.monotonic() + SECONDS
    while True:
        found = serve.status().applications
        states = {app.name: found[app.name] for app in checked.applications if app.name in found}
        if len(states) == len(checked.applications):
            if all(state.status == ApplicationStatus.RUNNING for state in states.values()):
                return
            failed = [state for state in states.values() if state.status == ApplicationStatus.DEPLOY_FAILED]
            if failed:
                sys.exit(failed[0].message)
        if time.monotonic() > end:
            sys.exit(f"not running after {SECONDS:.0f} s: {states}")
        time.sleep(0.1)


def _deploy_by_command(address: str, config: dict[str, Any]) -> None:
    """Deploy a config by the command `serve run`. `serve.run` of Ray's public API would restart all replicas."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(config, file)
        file.flush()
        command = [sys.executable, "-m", "ray.serve.scripts", "run", "--non-blocking", f"--address={address}"]
        done = subprocess.run([*command, file.name], check=False, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        sys.exit(done.stderr)


def main() -> None:
    """Apply the file with the host and port of the settings."""
    found = settings.load()
    config = yaml.safe_load(Path(sys.argv[2]).read_text())
    config["http_options"] |= {"host": found.http_host, "port": found.http_port}
    apply(sys.argv[1], config)


if __name__ == "__main__":
    main()
