"""A host beyond loopback in the Serve config of others, on a node of loopback: the replica demands keys."""

import subprocess
import sys
from pathlib import Path

import yaml

from penstock.postgres import roles
from penstock.processes import free_port
from penstock.serving.on_ray.cluster import RayCluster
from penstock.serving.on_ray.environment import ray_environment
from penstock.settings import Settings
from penstock.testing import as_member, create_book
from tests.checkout import ROOT

DEPLOY = """
import sys, yaml
from penstock.serving.on_ray import apply
apply.connect(sys.argv[1])
try:
    apply.apply(yaml.safe_load(sys.stdin))
except apply.ApplyError as error:
    sys.exit(str(error))
"""


def test_a_config_with_another_host_serves_nobody_without_keys(stack: None, postgres: str, tmp_path: Path) -> None:
    book = create_book(postgres, "prod")
    served = as_member(book, roles.SERVICE).url
    settings = Settings(home=tmp_path, http_port=free_port(), test_url=served, prod_url=served, dagster_url=book.url)
    config = yaml.safe_load((ROOT / "serve_app" / "serve_config.yaml").read_text())
    config["http_options"] |= {"host": "0.0.0.0", "port": settings.http_port}
    [application] = config["applications"]
    application["import_path"] = "tests.engine.serving.toy_deployment:build"
    application["deployments"][0]["autoscaling_config"] |= {"min_replicas": 1}
    try:
        running = RayCluster(settings).start()
        done = subprocess.run(
            [sys.executable, "-c", DEPLOY, running.address],
            input=yaml.safe_dump(config), env=ray_environment(settings, running.switches), capture_output=True,
            text=True, check=False, timeout=200, cwd=ROOT,
        )  # fmt: skip
    finally:
        RayCluster(settings).stop()
    assert done.returncode == 1
    assert "expected a file of API keys, since 0.0.0.0 can be reached from elsewhere" in done.stderr
