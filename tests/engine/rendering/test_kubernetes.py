"""The manifests: strict schemas, the "restricted" profile, secrets by reference, and one image of all runs."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from dagster import DagsterRun
from dagster._serdes import ConfigurableClassData

from penstock.rendering.kubernetes import layout, pipeline
from penstock.rendering.kubernetes.kustomize import OVERLAYS, write
from penstock.rendering.kubernetes.pods import UID
from tests.checkout import PROJECT
from tests.engine.rendering.conftest import Manifest, named

pytestmark = pytest.mark.slow

CUSTOM = {"RayService", "ServiceMonitor", "PrometheusRule"}
VERSION, NEWEST = "1.33.0", "1.37.0"
DIGEST = "7" * 64


def closed(schema: Any) -> Any:
    """The schema, with no keys but those that it names: what Kubernetes would drop is a fault here."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items() if key != "properties"}
    if "properties" in schema:
        made["properties"] = {name: closed(value) for name, value in schema["properties"].items()}
        free = "additionalProperties" in schema or schema.get("x-kubernetes-preserve-unknown-fields")
        made |= {} if free else {"additionalProperties": False}
    return made


def test_every_object_of_kubernetes_itself_fits_its_strict_schema(manifests: list[Manifest]) -> None:
    demand_strictly_valid(manifests)


def demand_strictly_valid(objects: list[Manifest]) -> None:
    own = [one for one in objects if one["kind"] not in CUSTOM]
    assert len(own) > 15
    for one in own:
        for version in (VERSION, NEWEST):
            kubernetes_validate.validate(one, version, strict=True)


def test_the_ray_service_fits_kuberays_schema(manifests: list[Manifest], kuberay: Manifest) -> None:
    service = named(manifests, "RayService")
    schema = closed(kuberay)
    schema["properties"]["metadata"] = {"type": "object"}
    for group in ("headGroupSpec", "workerGroupSpecs"):
        inside = schema["properties"]["spec"]["properties"]["rayClusterConfig"]["properties"][group]
        inside.get("items", inside)["properties"]["template"]["properties"]["metadata"] = {"type": "object"}
    faults = list(jsonschema.Draft202012Validator(schema).iter_errors(service))
    assert not [f"{fault.json_path}: {fault.message}" for fault in faults]
    service["spec"]["misspelled"] = 1
    assert list(jsonschema.Draft202012Validator(schema).iter_errors(service))
    del service["spec"]["misspelled"]


def test_every_pod_fits_the_restricted_profile(pods: dict[str, Manifest]) -> None:
    assert len(pods) == 6, sorted(pods)  # head, worker, three of Dagster, migration
    for name, spec in pods.items():
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}, name
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        allowed = {"name", "emptyDir", "configMap", "secret", "persistentVolumeClaim", "projected"}
        assert all(volume.keys() <= allowed for volume in spec["volumes"]), name
        assert len(spec["containers"]) == 1
        for container in spec["containers"]:
            restricted(container["securityContext"], name)
            mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
            assert {"/tmp", "/var/lib/penstock"} <= mounted, name


def restricted(security: Manifest, name: str) -> None:
    assert security["allowPrivilegeEscalation"] is False, name
    assert security["runAsNonRoot"] is True, name
    assert security["runAsUser"] == UID == 10001, name
    assert security["readOnlyRootFilesystem"] is True, name
    assert security["capabilities"] == {"drop": ["ALL"]}, name
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name


def test_the_autoscaler_that_kuberay_adds_fits_it_too(manifests: list[Manifest]) -> None:
    options = named(manifests, "RayService")["spec"]["rayClusterConfig"]["autoscalerOptions"]
    restricted(options["securityContext"], "autoscaler")


def test_the_runs_of_dagster_fit_it_too(manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch) -> None:
    """What the launcher of dagster-k8s makes of the instance file by its own code, which asks no cluster for it."""
    from dagster_k8s import K8sRunLauncher
    from dagster_k8s.job import construct_dagster_k8s_job
    from kubernetes.client import ApiClient

    instance = yaml.safe_load(named(manifests, "ConfigMap", pipeline.INSTANCE)["data"]["dagster.yaml"])
    written = instance["run_launcher"]
    monkeypatch.setenv("DAGSTER_NAMESPACE", "somewhere")
    monkeypatch.setattr("dagster_k8s.launcher.load_kubernetes_config", lambda **_: None)
    text = yaml.safe_dump(written["config"])
    launcher = ConfigurableClassData("dagster_k8s", written["class"], text).rehydrate(K8sRunLauncher)
    context = launcher.get_container_context_for_run(DagsterRun("some_job"))
    assert context.namespace == "somewhere"
    job = construct_dagster_k8s_job(
        context.get_k8s_job_config("some-image", launcher),
        ["dagster", "api", "execute_run"],
        "some-run",
        user_defined_k8s_config=context.run_k8s_config,
        component="run_worker",
    )
    made = ApiClient().sanitize_for_serialization(job)
    kubernetes_validate.validate(made, VERSION, strict=True)
    template = made["spec"]["template"]
    restricted(template["spec"]["containers"][0]["securityContext"], "run")
    assert template["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert template["spec"]["automountServiceAccountToken"] is False
    mounted = {mount["mountPath"] for mount in template["spec"]["containers"][0]["volumeMounts"]}
    assert {"/tmp", "/var/lib/penstock", layout.DAGSTER_HOME} <= mounted
    reached = named(manifests, "NetworkPolicy", "penstock-pipeline")["spec"]["podSelector"]["matchExpressions"][0]
    assert template["metadata"]["labels"][reached["key"]] in reached["values"]


def test_what_checkov_would_find_and_is_meant_has_its_reason(manifests: list[Manifest]) -> None:
    meant = {
        one["metadata"]["name"]: {
            text.split("=")[0]: text.split("=")[1]
            for name, text in one["metadata"].get("annotations", {}).items()
            if name.startswith("checkov.io/skip")
        }
        for one in manifests
        if one["kind"] in {"Deployment", "Job"}
    }
    every = {"CKV_K8S_11", "CKV_K8S_15", "CKV_K8S_35"}
    assert {name: set(found) for name, found in meant.items()} == {
        "penstock-dagster-webserver": every | {"CKV_K8S_38"},
        "penstock-dagster-daemon": every | {"CKV_K8S_38", "CKV_K8S_9"},
        "penstock-dagster-code": every,
        "penstock-migrate": every,
    }
    reasons = {reason for found in meant.values() for reason in found.values()}
    assert len(reasons) == 5
    assert {len(reason.split()) > 5 for reason in reasons} == {True}


def test_secrets_stand_in_no_file(files: dict[str, str], manifests: list[Manifest]) -> None:
    assert len(files) > 10
    assert not [name for name, text in files.items() if "not-to-be-seen" in text or "kind: Secret" in text]
    environment = named(manifests, "ConfigMap", "penstock-environment")["data"]
    assert environment["PENSTOCK_SNAPSHOTS_URL"] == "s3://store/snapshots"
    assert environment["PENSTOCK_HTTP_HOST"] == "0.0.0.0"
    assert not [name for name in environment if name.endswith(("TEST_URL", "PROD_URL", "DAGSTER_URL", "WAREHOUSE_URL"))]


def test_each_pod_has_the_secrets_of_its_own_role_alone(pods: dict[str, Manifest]) -> None:
    roles = {}
    for name, spec in pods.items():
        (container,) = spec["containers"]
        roles[name.split()[0], container["name"]] = {
            one["secretRef"]["name"] for one in container["envFrom"] if "secretRef" in one
        }
    assert roles == {
        ("RayService", "ray-head"): {layout.SERVICE},
        ("RayService", "ray-worker"): {layout.SERVICE},
        ("Deployment", "dagster-webserver"): {layout.PIPELINE},
        ("Deployment", "dagster-daemon"): {layout.PIPELINE},
        ("Deployment", "dagster-code"): {layout.PIPELINE},
        ("Job", "migrate"): {layout.MIGRATE},
    }


def test_the_service_comes_from_the_projects_own_serve_config(manifests: list[Manifest]) -> None:
    spec = named(manifests, "RayService")["spec"]
    served, own = yaml.safe_load(spec["serveConfigV2"]), yaml.safe_load(PROJECT.serve_config.read_text())
    assert served["proxy_location"] == "EveryNode"
    assert (served["http_options"]["host"], served["http_options"]["port"]) == ("0.0.0.0", 8000)
    (deployment,), (written,) = served["applications"][0]["deployments"], own["applications"][0]["deployments"]
    assert written.items() <= deployment.items()
    assert deployment["max_replicas_per_node"] == 1
    cluster = spec["rayClusterConfig"]
    assert cluster["gcsFaultToleranceOptions"]["backend"] == "rocksdb"
    (workers,) = cluster["workerGroupSpecs"]
    scaling = written["autoscaling_config"]
    assert (workers["minReplicas"], workers["maxReplicas"]) == (scaling["min_replicas"], scaling["max_replicas"] + 1)
    spread = workers["template"]["spec"]["topologySpreadConstraints"]
    assert {one["topologyKey"] for one in spread} == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
    budget = named(manifests, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"]
    assert budget.items() <= workers["template"]["metadata"]["labels"].items()


def test_rules_speak_of_metrics_that_there_are(manifests: list[Manifest]) -> None:
    source = "".join(path.read_text() for path in (PROJECT.root / "penstock" / "serving").rglob("*.py"))
    rules = named(manifests, "PrometheusRule")["spec"]["groups"][0]["rules"]
    named_ = {metric for rule in rules for metric in re.findall(r"penstock_\w+", rule["expr"])}
    assert len(named_) >= 5
    assert not [metric for metric in named_ if re.sub("^penstock_(journal_)?|_total$", "", metric) not in source]


def test_an_overlay_is_written_once_and_the_base_anew(files: dict[str, str], tmp_path: Path) -> None:
    assert len(write(files, tmp_path)) == len(files)
    own, base = tmp_path / "overlays/production/kustomization.yaml", tmp_path / "base/service.yaml"
    own.write_text("namespace: mine\n")
    base.write_text("")
    assert own not in write(files, tmp_path)
    assert own.read_text() == "namespace: mine\n"
    assert base.read_text() == files["base/service.yaml"]


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl, which has Kustomize, is not installed")
@pytest.mark.parametrize("name", OVERLAYS)
def test_kustomize_builds_an_overlay_and_runs_get_its_image(files: dict[str, str], tmp_path: Path, name: str) -> None:
    write(files, tmp_path)
    overlay = tmp_path / "overlays" / name
    text = (overlay / "kustomization.yaml").read_text()
    (overlay / "kustomization.yaml").write_text(text.replace("CHANGE-ME", DIGEST))
    built = subprocess.run(["kubectl", "kustomize", str(overlay)], check=True, capture_output=True, text=True).stdout
    objects = list(yaml.safe_load_all(built))
    demand_strictly_valid(objects)
    images = set(re.findall(r"image: (\S+)", built))
    assert images == {f"penstock-{image}@sha256:{DIGEST}" for image in ("service", "pipeline")}
    (code,) = named(objects, "Deployment", "penstock-dagster-code")["spec"]["template"]["spec"]["containers"]
    assert {"name": pipeline.IMAGE_OF_RUNS, "value": f"penstock-pipeline@sha256:{DIGEST}"} in code["env"]
    namespace = named(objects, "Namespace")["metadata"]
    assert namespace["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert {one["metadata"].get("namespace", namespace["name"]) for one in objects} == {namespace["name"]}
