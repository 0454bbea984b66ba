"""What the manifests of one project name: its objects, images, Secrets, ports and stores."""

from collections.abc import Mapping

import msgspec

from penstock.errors import PenstockError
from penstock.project import Project
from penstock.rendering.environment import SECRETS
from penstock.rendering.kubernetes.pods import CODE, HOME, STORES, TEMPORARY
from penstock.settings import PROJECT

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


def layout(project: Project, snapshots_url: str, artifacts_url: str, nodes: Mapping[str, str]) -> Layout:
    """What the manifests of a project name, whose nodes have an environment; PenstockError where its name cannot be an
    object's."""
    name = project.name.lower().replace("_", "-")
    if len(name) > 40:
        raise PenstockError(
            f"project {project.name!r}",
            expected="a name of at most 40 characters",
            found=str(len(name)),
            todo="Change `name` in pyproject.toml.",
        )
    stores = {"PENSTOCK_SNAPSHOTS_URL": snapshots_url, "PENSTOCK_ARTIFACTS_URL": artifacts_url}
    local = [variable for variable, url in stores.items() if "://" not in url]
    stores |= {variable: f"{STORES}/{variable.split('_')[1].lower()}" for variable in local}
    environment = {
        **{variable: text for variable, text in nodes.items() if variable not in SECRETS},
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
