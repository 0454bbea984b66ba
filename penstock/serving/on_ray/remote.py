"""A cluster that others run, through the REST interface of Ray's dashboard: `http://HEAD:8265`."""

import os
import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

from ray.serve.schema import ProxyStatus, ServeInstanceDetails

from penstock.errors import PenstockError
from penstock.serving.on_ray import compat
from penstock.serving.on_ray.apply import State, goes_on, wait
from penstock.settings import PROJECT

PROXIES_SECONDS, LOOK_SECONDS = 30.0, 0.2
"""How long a deploy waits for an HAProxy that is not ready yet: a node that is away fails no deploy."""
HERE = "."
"""The working directory of a replica, into which Ray unpacks the uploaded code."""


class Remote:
    """The cluster of a dashboard's URL. PenstockError where it does not answer."""

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            self._client = compat.dashboard(url)
        except (OSError, RuntimeError, ValueError) as error:
            raise self._away(error) from error

    def cpus(self) -> float:
        """How many CPUs the nodes have for replicas."""
        from ray.util.state import list_nodes

        try:
            nodes = list_nodes(address=self.url, detail=True)
        except Exception as error:
            raise self._away(error) from error
        return sum(float(node.resources_total.get("CPU", 0)) for node in nodes if node.state == "ALIVE")

    def upload(self, folder: str) -> dict[str, Any]:
        """Upload a project's code; returns the runtime_env with which every node's replicas run it."""
        runtime_env: dict[str, Any] = {"working_dir": folder, "env_vars": {PROJECT: HERE}}
        try:
            compat.upload(self._client, runtime_env)
        except (OSError, RuntimeError, ValueError) as error:
            raise self._away(error) from error
        return runtime_env

    def apply(self, config: dict[str, Any]) -> None:
        """Deploy a config and wait until its applications run; ApplyError says why one does not."""
        try:
            self._client.deploy_applications(config)
        except (OSError, RuntimeError) as error:
            raise self._away(error) from error
        wait([application["name"] for application in config["applications"]], self._states)
        end = time.monotonic() + PROXIES_SECONDS
        while time.monotonic() < end and not self._proxies_healthy():
            time.sleep(LOOK_SECONDS)

    def _details(self) -> ServeInstanceDetails:
        try:
            return ServeInstanceDetails(**self._client.get_serve_details())
        except (OSError, RuntimeError) as error:
            raise self._away(error) from error

    def _proxies_healthy(self) -> bool:
        return all(proxy.status == ProxyStatus.HEALTHY for proxy in self._details().proxies.values())

    def _states(self) -> dict[str, State]:
        found = {}
        for name, application in self._details().applications.items():
            deployments = application.deployments
            replicas = {one: dict(Counter(str(r.state) for r in d.replicas)) for one, d in deployments.items()}
            said = tuple(one.message for one in deployments.values() if one.message) or (application.message,)
            found[name] = State(application.status, said, replicas, goes_on(deployments.values()))
        return found

    def _away(self, error: Exception) -> PenstockError:
        wants = " Where the cluster wants a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH, the file of it."
        token = "" if {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys() else wants
        return PenstockError(
            f"Ray's dashboard at {self.url}",
            expected="to answer",
            found=str(error).strip()[:300],
            todo=f"Is the head up, and its --dashboard-host open to this machine?{token}",
        )


def demand_dashboard(url: str) -> None:
    """PenstockError where a URL cannot be that of a dashboard."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise PenstockError(
            "--ray", expected="the URL of the cluster's dashboard", found=url, todo="Write http://HEAD:8265."
        )


def is_url(head: str) -> bool:
    """Whether a head is named by the URL of its dashboard."""
    return "://" in head
