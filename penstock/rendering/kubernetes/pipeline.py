"""The pipeline: Dagster's webserver, daemon and code server, its runs as Jobs, and the migrations as one."""

from typing import Any

import yaml

from penstock.project import Project
from penstock.rendering.kubernetes import layout as names
from penstock.rendering.kubernetes.layout import Layout
from penstock.rendering.kubernetes.pods import (
    CONTAINER_SECURITY,
    ENVIRONMENT,
    HOME,
    POD_SECURITY,
    STORES,
    TEMPORARY,
    Manifest,
    accepted,
    container,
    empty,
    http_probe,
    labels,
    metadata,
    pod,
    quantity,
)
from penstock.rendering.kubernetes.ray_service import stores_volume

WEBSERVER, DAEMON, CODE_SERVER, RUN, MIGRATION = (
    "dagster-webserver",
    "dagster-daemon",
    "dagster-code",
    "run_worker",
    "migrate",
)
"""Components; `run_worker` is what Dagster calls the pods of its runs."""
LAUNCHER = "dagster-launcher"
"""The account that may start Jobs. The runs themselves have one that may do nothing."""
INSTANCE = "dagster-instance"
DAY = 24 * 3600
IMAGE_OF_RUNS = "DAGSTER_CURRENT_IMAGE"
_OF_EVERY_POD = ("CKV_K8S_11", "CKV_K8S_15", "CKV_K8S_35")
_SLOWLY = {"initialDelaySeconds": 30, "periodSeconds": 30, "timeoutSeconds": 20, "failureThreshold": 4}


def pipeline(layout: Layout) -> list[Manifest]:
    """The three processes of Dagster, each in a Deployment, and the Services by which they are found."""
    answers = http_probe("/server_info", names.WEB, every=5, failures=6)
    beats: Manifest = {"exec": {"command": ["dagster-daemon", "liveness-check"]}, **_SLOWLY}
    loads: Manifest = {"grpc": {"port": names.CODE_SERVER, "service": "DagsterApi"}, **_SLOWLY}
    web = _part(layout, WEBSERVER, _webserver(), {"http": names.WEB}, answers)
    daemon = _part(layout, DAEMON, ["dagster-daemon", "run", "-w", "workspace.yaml"], {}, beats)
    code = _part(layout, CODE_SERVER, _code_server(), {"grpc": names.CODE_SERVER}, loads)
    return [
        *(web, daemon, code),
        _service("penstock-dagster", WEBSERVER, names.WEB),
        _service(names.CODE_HOST, CODE_SERVER, names.CODE_SERVER),
    ]


def migration() -> Manifest:
    """`penstock migrate` as a Job: the one that the books' owner runs, before the code that needs it."""
    main = container(
        MIGRATION,
        names.PIPELINE_IMAGE,
        ["penstock", "migrate"],
        secrets=[names.MIGRATE],
        resources=quantity("200m", "512Mi"),
    )
    template = pod([main], component=MIGRATION, restartPolicy="Never")
    spec = {"backoffLimit": 3, "ttlSecondsAfterFinished": DAY, "template": template}
    named = metadata("penstock-migrate", MIGRATION) | {"annotations": accepted(*_OF_EVERY_POD)}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": named, "spec": spec}


def instance(layout: Layout, project: Project) -> str:
    """The project's dagster.yaml, with a launcher that starts each run as a Job unless it names one itself."""
    found: dict[str, Any] = yaml.safe_load(project.dagster_instance.read_text())
    return str(yaml.safe_dump({"run_launcher": _launcher(layout), **found}, sort_keys=False))


def _launcher(layout: Layout) -> Manifest:
    instance_file: Manifest = {"name": "instance", "configMap": {"name": INSTANCE}}
    volumes = [empty("home"), empty("temporary"), instance_file, *_stores(layout)]
    return {
        "module": "dagster_k8s",
        "class": "K8sRunLauncher",
        "config": {
            "service_account_name": "penstock",
            "job_namespace": {"env": "DAGSTER_NAMESPACE"},
            "instance_config_map": INSTANCE,
            "dagster_home": names.DAGSTER_HOME,
            "load_incluster_config": True,
            "env_config_maps": [ENVIRONMENT],
            "env_secrets": [names.PIPELINE],
            "volumes": volumes,
            "volume_mounts": [
                {"name": "home", "mountPath": HOME},
                {"name": "temporary", "mountPath": TEMPORARY},
                {"name": "instance", "mountPath": names.DAGSTER_HOME},
                *([{"name": "stores", "mountPath": STORES}] if layout.claims_stores else []),
            ],
            "resources": quantity("1", "4Gi"),
            "security_context": CONTAINER_SECURITY,
            "run_k8s_config": {
                "pod_spec_config": {
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "securityContext": POD_SECURITY,
                },
                "job_spec_config": {"ttlSecondsAfterFinished": 7 * DAY},
            },
        },
    }


def _webserver() -> list[str]:
    return ["dagster-webserver", "-h", "0.0.0.0", "-p", str(names.WEB), "-w", "workspace.yaml"]  # noqa: S104


def _code_server() -> list[str]:
    where = ["-h", "0.0.0.0", "-p", str(names.CODE_SERVER), "-d", "/app"]  # noqa: S104
    server = ["python", "-m", "penstock.graph.code_server", *where]
    return [*server, "-m", "penstock.graph.code_location", "-a", "definitions"]


def _part(layout: Layout, name: str, command: list[str], ports: dict[str, int], probe: Manifest) -> Manifest:
    """One process. Its instance file comes from the ConfigMap that the runs get as well."""
    launches = name in {WEBSERVER, DAEMON}
    main = container(
        name,
        names.PIPELINE_IMAGE,
        command,
        secrets=[names.PIPELINE],
        resources=quantity("250m", "1Gi"),
        ports=ports,
        mounts={"instance": names.DAGSTER_HOME, **({"stores": STORES} if layout.claims_stores else {})},
        probes={"livenessProbe": probe, **({"readinessProbe": probe} if ports else {})},
    )
    main["env"] = [
        {"name": "DAGSTER_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        *([{"name": IMAGE_OF_RUNS, "value": names.PIPELINE_IMAGE}] if name == CODE_SERVER else []),
    ]
    template = pod(
        [main],
        component=name,
        account=LAUNCHER if launches else "penstock",
        token=launches,
        volumes=[{"name": "instance", "configMap": {"name": INSTANCE}}, *_stores(layout)],
    )
    spec = {
        "replicas": 1,
        "strategy": {"type": "Recreate"},  # two daemons would start schedules twice
        "selector": {"matchLabels": labels(name)},
        "template": template,
    }
    meant = [*_OF_EVERY_POD, *(["CKV_K8S_38"] if launches else []), *([] if ports else ["CKV_K8S_9"])]
    named = metadata(f"penstock-{name}", name) | {"annotations": accepted(*meant)}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": named, "spec": spec}


def _stores(layout: Layout) -> list[Manifest]:
    return [stores_volume()] if layout.claims_stores else []


def _service(name: str, component: str, port: int) -> Manifest:
    ports = [{"name": "main", "port": port, "targetPort": port}]
    spec = {"selector": labels(component), "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata(name, component), "spec": spec}


def accounts() -> list[Manifest]:
    """The account of what asks Kubernetes nothing, and that of Dagster's launcher, with its rights."""
    rules = [
        {
            "apiGroups": ["batch"],
            "resources": ["jobs", "jobs/status"],
            "verbs": ["create", "delete", "get", "list", "patch", "watch"],
        },
        {
            "apiGroups": [""],
            "resources": ["pods", "pods/log", "pods/status", "events"],
            "verbs": ["get", "list", "watch"],
        },
    ]
    role = "rbac.authorization.k8s.io"
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": metadata("penstock", "pipeline"),
            "automountServiceAccountToken": False,
        },
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": metadata(LAUNCHER, "pipeline"),
            "automountServiceAccountToken": False,
        },
        {"apiVersion": f"{role}/v1", "kind": "Role", "metadata": metadata(LAUNCHER, "pipeline"), "rules": rules},
        {
            "apiVersion": f"{role}/v1",
            "kind": "RoleBinding",
            "metadata": metadata(LAUNCHER, "pipeline"),
            "roleRef": {"apiGroup": role, "kind": "Role", "name": LAUNCHER},
            "subjects": [{"kind": "ServiceAccount", "name": LAUNCHER}],
        },
    ]
