"""The pods: every one fits the "restricted" Pod Security profile, because every one is made here."""

from collections.abc import Mapping, Sequence
from typing import Any

Manifest = dict[str, Any]

UID = 10001
CODE, HOME, TEMPORARY, STORES = "/app", "/var/lib/penstock", "/tmp", "/var/lib/penstock-stores"  # noqa: S108
ENVIRONMENT = "penstock-environment"
"""The ConfigMap of what every pod has; see `environment.py`."""
NAMES = "app.kubernetes.io"

CONTAINER_SECURITY: Manifest = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "privileged": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": UID,
    "runAsGroup": UID,
    "seccompProfile": {"type": "RuntimeDefault"},
}
POD_SECURITY: Manifest = {
    "fsGroup": UID,
    "runAsNonRoot": True,
    "runAsUser": UID,
    "runAsGroup": UID,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def labels(component: str) -> dict[str, str]:
    """What a part of the system is found by."""
    return {f"{NAMES}/name": "penstock", f"{NAMES}/component": component}


def metadata(name: str, component: str) -> Manifest:
    """The name of an object, and whose it is."""
    return {"name": name, "labels": labels(component)}


ACCEPTED = {
    "CKV_K8S_9": "The daemon answers nothing; what lives is asked by the liveness probe.",
    "CKV_K8S_11": "CPU has no limit: one that is reached makes all that the process does late.",
    "CKV_K8S_15": "Images go by digest, so that the node's copy is the one.",
    "CKV_K8S_35": "URLs with their passwords are variables, by reference to a Secret.",
    "CKV_K8S_38": "Dagster's launcher starts Jobs with its account's token.",
}
"""Findings of checkov that are meant, each with its reason, as checkov reads them from an object."""


def accepted(*findings: str) -> dict[str, str]:
    """The annotations that tell checkov what of an object is meant."""
    return {f"checkov.io/skip{n}": f"{name}={ACCEPTED[name]}" for n, name in enumerate(findings, 1)}


def quantity(cpu: str, memory: str) -> Manifest:
    """Requests and limits. CPU has no limit: one that is reached would make every answer late by up to 100 ms."""
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}}


def container(
    name: str,
    image: str,
    command: Sequence[str],
    *,
    secrets: Sequence[str],
    resources: Manifest,
    variables: Mapping[str, str] | None = None,
    ports: Mapping[str, int] | None = None,
    mounts: Mapping[str, str] | None = None,
    probes: Mapping[str, Manifest] | None = None,
) -> Manifest:
    """One container; `secrets` are names of Secrets whose keys are variables, `mounts` volume -> path."""
    made: Manifest = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "envFrom": [
            {"configMapRef": {"name": ENVIRONMENT}},
            *({"secretRef": {"name": secret}} for secret in secrets),
        ],
        "env": [{"name": key, "value": text} for key, text in (variables or {}).items()],
        "ports": [{"name": key, "containerPort": port} for key, port in (ports or {}).items()],
        "resources": resources,
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [
            {"name": volume, "mountPath": path}
            for volume, path in {"home": HOME, "temporary": TEMPORARY, **(mounts or {})}.items()
        ],
        **(probes or {}),
    }
    if command:
        made["command"] = list(command)
    return {key: value for key, value in made.items() if value != []}


def pod(
    containers: Sequence[Manifest],
    *,
    component: str,
    account: str = "penstock",
    token: bool = False,
    volumes: Sequence[Manifest] = (),
    spread: bool = False,
    **further: Any,
) -> Manifest:
    """A pod template; `token` mounts the account's token, `spread` keeps pods of the component on different nodes."""
    spec: Manifest = {
        "serviceAccountName": account,
        "automountServiceAccountToken": token,
        "enableServiceLinks": False,  # else Kubernetes adds variables that begin with PENSTOCK_
        "securityContext": POD_SECURITY,
        "containers": list(containers),
        "volumes": [empty("home"), empty("temporary"), *volumes],
        **further,
    }
    if spread:
        spec["topologySpreadConstraints"] = [
            _spread(component, "topology.kubernetes.io/zone"),
            _spread(component, "kubernetes.io/hostname"),
        ]
    return {"metadata": {"labels": labels(component)}, "spec": spec}


def empty(name: str, **how: Any) -> Manifest:
    """A volume that lives as long as its pod."""
    return {"name": name, "emptyDir": how}


def _spread(component: str, key: str) -> Manifest:
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels(component)},
    }


def http_probe(path: str, port: int | str, *, every: int, failures: int) -> Manifest:
    """A question to an HTTP route, by the node."""
    return {
        "httpGet": {"path": path, "port": port},
        "periodSeconds": every,
        "failureThreshold": failures,
        "timeoutSeconds": 5,
    }
