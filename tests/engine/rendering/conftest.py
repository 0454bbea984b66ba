"""The manifests of the checkout's own project, rendered as its operators would."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.rendering.kubernetes.kustomize import kubernetes
from penstock.settings import Settings
from tests.checkout import PROJECT

Manifest = dict[str, Any]


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    secret = "postgresql://penstock:not-to-be-seen@books/"
    urls = {name: secret + name for name in ("test_url", "prod_url", "dagster_url", "warehouse_url")}
    return Settings(home=tmp_path_factory.mktemp("home"), project=PROJECT, snapshots_url="s3://store/snapshots", **urls)


@pytest.fixture(scope="session")
def files(settings: Settings) -> dict[str, str]:
    return kubernetes(settings)


@pytest.fixture(scope="session")
def manifests(files: dict[str, str]) -> list[Manifest]:
    """Every object of the base."""
    texts = [text for name, text in files.items() if name.startswith("base/") and "kustomization" not in name]
    return [document for text in texts for document in yaml.safe_load_all(text)]


@pytest.fixture(scope="session")
def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """The specs of all pods, by object and place; those of Dagster's runs as the launcher makes them are not here."""
    return {
        f"{one['kind']} {one['metadata']['name']} {place}": spec for one in manifests for place, spec in specs(one, "")
    }


def specs(value: Any, place: str) -> Iterator[tuple[str, Manifest]]:
    if isinstance(value, dict):
        if "containers" in value:
            yield place, value
        for key, inside in value.items():
            yield from specs(inside, f"{place}/{key}")
    if isinstance(value, list):
        for number, inside in enumerate(value):
            yield from specs(inside, f"{place}/{number}")


def named(manifests: list[Manifest], kind: str, name: str = "") -> Manifest:
    found = [one for one in manifests if one["kind"] == kind and name in ("", one["metadata"]["name"])]
    assert len(found) == 1, f"{kind} {name}: {len(found)}"
    return found[0]


@pytest.fixture(scope="session")
def kuberay() -> Manifest:
    """The schema of RayService, where it lies beside the checkout."""
    path = Path(*PROJECT.root.parts[:-1], "shared", "kuberay", "rayservice-v1.schema.json")
    if not path.exists():
        pytest.skip(f"KubeRay's schema of RayService is not at {path}")
    loaded: Manifest = yaml.safe_load(path.read_text())
    return loaded
