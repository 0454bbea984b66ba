"""The files: a base with everything, and an overlay for each place that differs from it."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
import yaml

from penstock.errors import PenstockError
from penstock.rendering.environment import node_environment
from penstock.rendering.kubernetes import layout as names
from penstock.rendering.kubernetes.layout import Layout, layout
from penstock.rendering.kubernetes.monitoring import monitoring
from penstock.rendering.kubernetes.network import network
from penstock.rendering.kubernetes.pipeline import (
    CODE_SERVER,
    IMAGE_OF_RUNS,
    INSTANCE,
    accounts,
    instance,
    migration,
    pipeline,
)
from penstock.rendering.kubernetes.pods import ENVIRONMENT, Manifest, metadata
from penstock.rendering.kubernetes.ray_service import ray_service
from penstock.rendering.serve import serve_in_pods
from penstock.settings import EVERYWHERE, HTTP_PORT, Settings

OVERLAYS = ("staging", "production")
HEADER = "# Written by `penstock render kubernetes`. Change overlays; what is in base/ is written anew.\n"
OVERLAY_HEADER = "# Yours: `penstock render kubernetes` writes it where it is missing, and never again.\n"
KINDS = {"kind": "Kustomization", "apiVersion": "kustomize.config.k8s.io/v1beta1"}


def kubernetes(settings: Settings) -> dict[str, str]:
    """Path below the output folder -> text."""
    project = settings.demand_project()
    # A node in a container listens on every interface, at the port that the manifests name, and demands API keys.
    nodes = node_environment(msgspec.structs.replace(settings, http_host=EVERYWHERE, http_port=HTTP_PORT))
    found = layout(project, settings.snapshots_url, settings.artifacts_url, nodes)
    parts: dict[str, list[Manifest]] = {
        "accounts.yaml": accounts(),
        "service.yaml": ray_service(found, serve_in_pods(project)),
        "pipeline.yaml": pipeline(found),
        "migrate.yaml": [migration()],
        "network.yaml": network(),
        "monitoring.yaml": monitoring(),
        "environment.yaml": _config_maps(found, {"dagster.yaml": instance(found, project)}),
    }
    if found.claims_stores:
        parts["stores.yaml"] = [_claim()]
    base = KINDS | {"resources": sorted(parts)}
    files = {f"base/{name}": HEADER + _documents(objects) for name, objects in parts.items()}
    files["base/kustomization.yaml"] = HEADER + _documents([base])
    for overlay in OVERLAYS:
        files |= {f"overlays/{overlay}/{name}": text for name, text in _overlay(found.name, overlay).items()}
    return files


def write(files: Mapping[str, str], folder: Path) -> list[Path]:
    """Write the base anew, and of the overlays what is missing; returns what was written."""
    if folder.exists() and not folder.is_dir():
        raise PenstockError(str(folder), expected="a folder", found="a file", todo="Name another --output.")
    written = []
    for name, text in files.items():
        path = folder / name
        if name.startswith("overlays/") and path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        written.append(path)
    return written


def _overlay(project: str, overlay: str) -> dict[str, str]:
    namespace = f"{project}-{overlay}"
    body = KINDS | {
        "namespace": namespace,
        "resources": ["../../base", "namespace.yaml"],
        "images": [
            {"name": image, "newName": image, "digest": "sha256:CHANGE-ME"}
            for image in (names.SERVICE_IMAGE, names.PIPELINE_IMAGE)
        ],
        "replacements": [_image_of_runs()],
    }
    return {
        "kustomization.yaml": OVERLAY_HEADER + _documents([body]),
        "namespace.yaml": OVERLAY_HEADER + _documents([_namespace(namespace)]),
    }


def _namespace(name: str) -> Manifest:
    profile = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": profile}}


def _config_maps(found: Layout, files: Mapping[str, str]) -> list[Manifest]:
    maps = {ENVIRONMENT: found.environment, INSTANCE: files}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(name, "configuration"), "data": dict(data)}
        for name, data in maps.items()
    ]


def _claim() -> Manifest:
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "50Gi"}}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata("penstock-stores", "stores"),
        "spec": spec,
    }


def _image_of_runs() -> Manifest:
    """Runs start from the code server's image: Dagster learns it from a variable, which `images` does not reach."""
    deployment = {"kind": "Deployment", "name": f"penstock-{CODE_SERVER}"}
    containers = "spec.template.spec.containers"
    target = f"{containers}.[name={CODE_SERVER}].env.[name={IMAGE_OF_RUNS}].value"
    return {
        "source": deployment | {"fieldPath": f"{containers}.[name={CODE_SERVER}].image"},
        "targets": [{"select": deployment, "fieldPaths": [target]}],
    }


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # yaml has no types
    """Texts of several lines as such, nothing by reference."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        """Each object is written out where it stands."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _documents(objects: Iterable[Manifest]) -> str:
    return str(yaml.dump_all(objects, Dumper=_Dumper, sort_keys=False, width=120))
