"""The service: a RayService of KubeRay, whose head comes back, with one pod for each replica."""

from importlib.metadata import version
from typing import Any

import yaml

from penstock.rendering.kubernetes import layout as names
from penstock.rendering.kubernetes.layout import Layout
from penstock.rendering.kubernetes.pods import (
    CONTAINER_SECURITY,
    STORES,
    Manifest,
    container,
    empty,
    http_probe,
    metadata,
    pod,
    quantity,
)
from penstock.rendering.serve import Replicas, replicas

COMPONENT, HEAD = "service", "ray-head"
GROUP = "replicas"
API_KEYS = "api-keys"
SHARED_MEMORY = {"medium": "Memory", "sizeLimit": "256Mi"}
OBJECT_STORE_BYTES = 128 * 1024 * 1024
STILL_SERVING_SECONDS = 60
"""Above what a replica needs to end: graceful_shutdown_timeout_s and HAProxy's checks."""
HEAD_STORE = "2Gi"


def ray_service(layout: Layout, config: dict[str, Any]) -> list[Manifest]:
    """The RayService, and what keeps enough of its pods when nodes are emptied."""
    wanted = replicas(config)
    group = {"app.kubernetes.io/name": "penstock", "app.kubernetes.io/component": COMPONENT}
    return [
        {
            "apiVersion": "ray.io/v1",
            "kind": "RayService",
            "metadata": metadata(layout.name, COMPONENT),
            "spec": {
                "excludeHeadPodFromServeSvc": True,
                "upgradeStrategy": {"type": "NewCluster"},
                "rayClusterDeletionDelaySeconds": STILL_SERVING_SECONDS,
                "serveConfigV2": yaml.safe_dump(config, sort_keys=False),
                "rayClusterConfig": _cluster(layout, wanted),
            },
        },
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": metadata("penstock-service", COMPONENT),
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": group}},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata("penstock-replicas", COMPONENT),
            "spec": {
                "clusterIP": "None",
                "selector": group,
                "ports": [
                    {"name": "replica", "port": names.REPLICA},
                    {"name": "ray-metrics", "port": names.METRICS},
                ],
            },
        },
    ]


def _cluster(layout: Layout, wanted: Replicas) -> Manifest:
    return {
        "rayVersion": version("ray"),
        "authOptions": {"mode": "token"},
        "gcsFaultToleranceOptions": {
            "backend": "rocksdb",
            "storage": {"size": HEAD_STORE, "accessModes": ["ReadWriteOnce"], "deletionPolicy": "DeleteWithCluster"},
        },
        "enableInTreeAutoscaling": True,
        "autoscalerOptions": {
            "idleTimeoutSeconds": 300,
            "resources": quantity("200m", "512Mi"),
            "securityContext": CONTAINER_SECURITY,
        },
        "headGroupSpec": {
            "rayStartParams": {"num-cpus": "0", "dashboard-host": "0.0.0.0", "disable-usage-stats": "true"},  # noqa: S104
            "template": _head(layout),
        },
        "workerGroupSpecs": [
            {
                "groupName": GROUP,
                "replicas": wanted.least,
                "minReplicas": wanted.least,
                "maxReplicas": wanted.most,
                "rayStartParams": {
                    "num-cpus": str(max(1, round(wanted.cpus))),
                    "object-store-memory": str(OBJECT_STORE_BYTES),
                },
                "template": _worker(layout, wanted),
            }
        ],
    }


def _head(layout: Layout) -> Manifest:
    """The head runs no replica. It needs the token of its account: its autoscaler asks Kubernetes for pods."""
    healthy = http_probe("/api/gcs_healthz", names.DASHBOARD, every=5, failures=24)
    ports = {"gcs": names.GCS, "dashboard": names.DASHBOARD, "client": names.CLIENT, "metrics": names.METRICS}
    main = container(
        "ray-head",
        names.SERVICE_IMAGE,
        (),
        secrets=[names.SERVICE],
        resources=quantity("1", "2Gi"),
        ports=ports,
        mounts=_mounts(layout),
        probes={"readinessProbe": healthy, "livenessProbe": healthy},
    )
    made = pod([main], component=HEAD, volumes=_volumes(layout))
    # KubeRay makes an account that may scale this one cluster, unless one is named here.
    del made["spec"]["serviceAccountName"], made["spec"]["automountServiceAccountToken"]
    return made


def _worker(layout: Layout, wanted: Replicas) -> Manifest:
    main = container(
        "ray-worker",
        names.SERVICE_IMAGE,
        (),
        secrets=[names.SERVICE],
        resources=quantity(f"{max(wanted.cpus, 0.25):g}", "1Gi"),
        ports={"serve": names.HTTP, "replica": names.REPLICA, "metrics": names.METRICS},
        mounts=_mounts(layout),
        probes={
            "readinessProbe": http_probe("/-/healthz", names.HTTP, every=2, failures=2),
            "livenessProbe": http_probe("/api/local_raylet_healthz", names.AGENT, every=5, failures=24),
            # Ray's answer to a node that is drained: HAProxy has learned of it before the replica ends.
            "lifecycle": {"preStop": {"exec": {"command": ["ray", "stop", "--grace-period", "30"]}}},
        },
    )
    return pod(
        [main],
        component=COMPONENT,
        volumes=_volumes(layout),
        spread=True,
        terminationGracePeriodSeconds=STILL_SERVING_SECONDS,
    )


def _mounts(layout: Layout) -> dict[str, str]:
    stores = {"stores": STORES} if layout.claims_stores else {}
    return {"shared-memory": "/dev/shm", API_KEYS: names.KEYS_FOLDER, **stores}  # noqa: S108


def _volumes(layout: Layout) -> list[Manifest]:
    keys = {"secretName": names.KEYS, "items": [{"key": names.KEYS_FILE, "path": names.KEYS_FILE}]}
    stores = [stores_volume()] if layout.claims_stores else []
    return [empty("shared-memory", **SHARED_MEMORY), {"name": API_KEYS, "secret": keys}, *stores]


def stores_volume() -> Manifest:
    """The claim of the stores, where no URL says where they are."""
    return {"name": "stores", "persistentVolumeClaim": {"claimName": "penstock-stores"}}
