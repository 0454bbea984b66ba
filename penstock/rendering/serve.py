"""The project's serve_config.yaml as a cluster takes it: checked and completed as `penstock deploy` does it."""

from typing import Any

import msgspec

from penstock.errors import PenstockError
from penstock.project import Project
from penstock.serving.deploying import serve_config
from penstock.settings import EVERYWHERE, HTTP_PORT


def serve(project: Project, host: str, port: int) -> dict[str, Any]:
    """The Serve config of a project for plain `serve deploy`; ServeConfigError names every fault of the file."""
    path = project.serve_config
    return serve_config.read(path.read_text(), f"{path.parent.name}/{path.name}", host, port)


def serve_in_pods(project: Project) -> dict[str, Any]:
    """The Serve config of a RayService: an HAProxy on every worker, and one replica a pod.

    One replica a pod spreads them over the nodes, and lets each be scraped at the first of the replicas' ports.
    """
    config = serve(project, EVERYWHERE, HTTP_PORT) | {"proxy_location": "EveryNode"}
    for application in config["applications"]:
        for deployment in application.get("deployments") or ():
            deployment.setdefault("max_replicas_per_node", 1)
    return config


class Replicas(msgspec.Struct, frozen=True):
    """How many pods of replicas there are at least and at most, and what CPUs one of them has by `num_cpus`."""

    least: int
    most: int
    cpus: float


def replicas(config: dict[str, Any]) -> Replicas:
    """The pods that a Serve config needs: one more than replicas at most, so that a new one is there before an old one
    goes. PenstockError where it declares no deployment, because then nothing says how many."""
    least, most, cpus = 0, 0, 0.0
    for application in config["applications"]:
        for deployment in application.get("deployments") or ():
            scaling = deployment.get("autoscaling_config") or {}
            fixed = deployment.get("num_replicas")
            fixed = fixed if isinstance(fixed, int) else 1
            least += scaling.get("min_replicas", fixed)
            most += scaling.get("max_replicas", fixed)
            cpus = max(cpus, float((deployment.get("ray_actor_options") or {}).get("num_cpus", 1)))
    if not most:
        raise PenstockError(
            "serve_config.yaml",
            expected="`deployments` with numbers of replicas",
            found="none",
            todo="Write how many there are.",
        )
    return Replicas(max(least, 1), most + 1, cpus)
