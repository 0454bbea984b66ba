"""`penstock render`: what it prints is whole, holds no secret and starts nothing."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from ray.serve.schema import ServeDeploySchema

from penstock.cli.main import penstock
from penstock.rendering.environment import node_environment
from penstock.rendering.kubernetes.layout import layout
from penstock.serving.on_ray.environment import STUBS
from penstock.settings import Settings
from tests.checkout import PROJECT
from tests.engine.projects import write_project


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PENSTOCK_PROJECT", str(PROJECT.root))
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PENSTOCK_PROD_URL", "postgresql://penstock:not-to-be-seen@books/prod")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")


def render(*arguments: str) -> str:
    done = CliRunner().invoke(penstock, ["render", *arguments])
    assert done.exit_code == 0, done.output
    assert "not-to-be-seen" not in done.output
    return done.output


def test_the_serve_config_is_complete_and_says_the_host_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_HTTP_HOST", "10.0.0.7")
    printed = yaml.safe_load(render("serve"))
    assert ServeDeploySchema.model_validate(printed).applications[0].import_path == "serve_app.deployment:build"
    assert printed["http_options"]["host"] == "10.0.0.7"


def test_the_environment_is_that_of_the_local_head_without_what_belongs_to_one_machine(tmp_path: Path) -> None:
    lines = [line.partition("=") for line in render("environment").splitlines() if not line.startswith("#")]
    printed = {name: text for name, _, text in lines}
    assert printed["RAY_SERVE_ENABLE_HA_PROXY"] == "1"
    assert printed["RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT"] == "20000"
    assert not printed.keys() & {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "RAY_AUTH_MODE", "PENSTOCK_PROD_URL"}
    assert not [f"{name}={text}" for name, text in printed.items() if "/tmp" in text or str(tmp_path) in text]
    assert not (tmp_path / "home").exists(), "rendering starts nothing and keeps nothing"


def test_a_node_gets_its_variables_and_the_starter_of_its_haproxy(tmp_path: Path) -> None:
    file = Path(render("node").strip())
    sourced = subprocess.run(["sh", "-ec", f". {file} && env -0"], check=True, capture_output=True, text=True).stdout
    found = dict(line.split("=", 1) for line in sourced.split("\0") if line)
    assert found["RAY_SERVE_HAPROXY_RETRY_ON"] == "conn-failure empty-response"
    assert found["PENSTOCK_HOME"] == str(tmp_path / "home")
    assert [Path(entry).resolve() for entry in found["PYTHONPATH"].split(":")[:2]] == [STUBS, PROJECT.root]
    assert "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER" not in file.read_text()
    starter = Path(found["RAY_SERVE_HAPROXY_BINARY_PATH"])
    assert os.access(starter, os.X_OK)
    assert "entry_keeper.py" in starter.read_text()
    assert "not-to-be-seen" not in file.read_text()
    shutil.rmtree(file.parent)


def test_a_node_of_a_cluster_demands_rays_token_unless_it_is_told_not_to(tmp_path: Path) -> None:
    """In processes of their own: Ray keeps for good what it once read of its token."""
    token, own = tmp_path / "token", {name: os.environ[name] for name in ("PENSTOCK_PROJECT", "PENSTOCK_HOME")}
    command = (sys.executable, "-m", "penstock", "render", "node")
    asked = {name: text for name, text in os.environ.items() if not name.startswith("RAY_AUTH_")} | own
    for variables, expected in (
        ({}, r"RAY_AUTH_TOKEN_PATH: expected the file of a token"),
        ({"RAY_AUTH_TOKEN_PATH": str(token)}, rf"RAY_AUTH_TOKEN_PATH={token}: .* found no file"),
    ):
        done = subprocess.run(command, env=asked | variables, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert re.search(expected, " ".join(done.stderr.split()))
    token.write_text("secret-of-ray")
    done = subprocess.run(command, env=asked | variables, capture_output=True, text=True, check=True)
    file = Path(done.stdout.strip())
    assert "export RAY_AUTH_MODE=token\n" in file.read_text()
    assert "secret-of-ray" not in file.read_text()
    shutil.rmtree(file.parent)


def test_a_node_finds_a_project_whose_path_holds_colons(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    root = write_project(tmp_path / "10:30 $HOME", {"model_tools/shown.py": ""})
    monkeypatch.setenv("PENSTOCK_PROJECT", str(root))
    file = Path(render("node").strip())
    shown = "import model_tools.shown; print(model_tools.shown.__file__)"
    command = ["sh", "-ec", f'. {file} && exec "$@"', "sh", sys.executable, "-c", shown]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.strip(), done.stderr
    assert Path(done.stdout.strip()).resolve().is_relative_to(root)
    shutil.rmtree(file.parent)


def test_rendering_twice_says_the_same(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, project=PROJECT)
    first = node_environment(settings)
    assert len(first) > 20
    assert node_environment(settings) == first


def test_a_store_without_a_url_is_a_folder_of_a_claim(tmp_path: Path) -> None:
    found = layout(PROJECT, "", "gs://models", {})
    assert found.claims_stores
    assert found.environment["PENSTOCK_SNAPSHOTS_URL"] == "/var/lib/penstock-stores/snapshots"
    assert found.environment["PENSTOCK_ARTIFACTS_URL"] == "gs://models"


def test_a_fault_of_the_serve_config_is_said_with_its_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "serve_app").mkdir()
    (tmp_path / "serve_app" / "serve_config.yaml").write_text("applications: []\nmax_ongoing_request: 3\n")
    (tmp_path / "pyproject.toml").write_text('[tool.penstock]\nname = "shop"\n')
    monkeypatch.setenv("PENSTOCK_PROJECT", str(tmp_path))
    done = CliRunner().invoke(penstock, ["render", "serve"])
    assert done.exit_code == 1
    assert "serve_config.yaml, line 2: 'max_ongoing_request' is no key" in str(done.exception)
