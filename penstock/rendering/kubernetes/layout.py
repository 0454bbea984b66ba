"""What the manifests of one project name: its objects, images, Secrets, ports and stores."""

from collections.abc import Mapping

import msgspec

from penstock.errors import PenstockError
from penstock.rendering.environment import SECRETS, node_environment
from penstock.rendering.kubernetes.pods import CODE, HOME, STORES, TEMPORARY
from penstock.rendering.serve import in_containers
from penstock.settings import PROJECT, Settings

SERVICE_IMAGE, PIPELINE_IMAGE = "penstock-service", "penstock-pipeline"
"""Names that the overlays replace by those of the operator's registry."""
SERVICE, PIPELINE, MIGRATE, KEYS = "penstock-service", "penstock-pipeline", "penstock-migrate", "penstock-api-keys"
"""The Secrets, which the operator makes: see `docs/production.md`."""
KEYS_FOLDER, KEYS_FILE, METRICS_KEY = "/etc/penstock/keys", "api-keys", "metrics-key"
HTTP, WEB, CODE_SERVER, DASHBOARD, AGENT, GCS, CLIENT, METRICS = 8000, 3000, 4000, 8265, 52365, 6379, 10001, 8080
REPLICA = 20_000
POSTGRES, HTTPS, API_SERVER, DNS = 5432, 443, 6443, 53
CODE_HOST, DAGSTER_HOME = "penstock-code", "/etc/dagster"


class Layout(msgspec.Struct, frozen=True):
    """One project in Kubernetes.

    - `environment` is what every pod has, in a ConfigMap.
    - `claims_stores`: the stores are folders of a PersistentVolumeClaim, because no URL says where else.
    """

    name: str
    environment: Mapping[str, str]
    claims_stores: bool


def layout(settings: Settings) -> Layout:
    """What the manifests of a project name; PenstockError where its name cannot be an object's."""
    project = settings.demand_project()
    name = project.name.lower().replace("_", "-")
    if len(name) > 40:
        raise PenstockError(
            f"project {project.name!r}",
            expected="a name of at most 40 characters",
            found=str(len(name)),
            todo="Change `name` in pyproject.toml.",
        )
    stores = {"PENSTOCK_SNAPSHOTS_URL": settings.snapshots_url, "PENSTOCK_ARTIFACTS_URL": settings.artifacts_url}
    local = [variable for variable, url in stores.items() if "://" not in url]
    stores |= {variable: f"{STORES}/{variable.split('_')[1].lower()}" for variable in local}
    found = node_environment(in_containers(settings))
    environment = {
        **{variable: text for variable, text in found.items() if variable not in SECRETS},
        **stores,
        PROJECT: CODE,
        "PENSTOCK_HOME": HOME,
        "PENSTOCK_API_KEYS_FILE": f"{KEYS_FOLDER}/{KEYS_FILE}",
        "PENSTOCK_CODE_HOST": CODE_HOST,
        "PENSTOCK_CODE_PORT": str(CODE_SERVER),
        "DAGSTER_HOME": DAGSTER_HOME,
        "HOME": HOME,
        "TMPDIR": TEMPORARY,
        "USER": "penstock",  # the uid has no entry in /etc/passwd
    }
    return Layout(name, environment, bool(local))
