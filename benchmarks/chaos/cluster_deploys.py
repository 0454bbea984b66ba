"""Deploys to a cluster under load, each from what the one before has left."""

from collections.abc import Collection, Iterator
from pathlib import Path

from benchmarks.chaos.cluster_events import ClusterEvent
from benchmarks.chaos.cluster_stand import ClusterStand
from benchmarks.chaos.deploy_events import rotate
from benchmarks.chaos.deploy_project import APPLICATION, UNABLE, Project
from benchmarks.service.clients import Clients
from penstock.serving.deploying.code_copy import keep


def project_of(stood: ClusterStand) -> Project:
    """A copy of the example's project, to be edited and deployed from outside the cluster."""
    code = keep(stood.settings.demand_project(), stood.folder / "project", stood.folder)
    options = {"max_replicas_per_node": stood.per_node}
    return Project(Path(code.folder), stood, stood.replicas, options=options)


def deploys(project: Project, stood: ClusterStand, asking: Collection[Clients]) -> Iterator[ClusterEvent]:
    """All deploys. The head's entry survives them: a worker that loses its last replica loses its HAProxy too."""
    workers = stood.nodes[1:]
    arguments = {} if project.arguments else {"book": "prod"}  # which say the same
    yield ClusterEvent("changed args", workers, lambda: project.set(arguments=arguments))
    changed = project.options.get("max_ongoing_requests") == 256  # by an earlier time
    yield ClusterEvent("changed limit", workers, lambda: project.set(max_ongoing_requests=300 if changed else 256))
    yield ClusterEvent("changed code", workers, project.change_code)
    yield ClusterEvent("a file that does not import", workers, lambda: project.deploy(broken=True))
    yield ClusterEvent(
        "a replica that does not start", workers, lambda: project.deploy(application=APPLICATION + UNABLE)
    )
    yield ClusterEvent("back", workers, project.back)
    sent = (stood.headers, *(clients.headers for clients in asking))
    yield ClusterEvent("rotated keys", workers, lambda: rotate(project, stood.head.address, *sent))
