"""docs/production.md and compose.yaml against what is rendered: ports, commands, Secrets, and the container profile."""

import re

import yaml

from penstock.cli.main import COMMANDS
from penstock.rendering.kubernetes import layout
from penstock.rendering.node import METRICS_PORT
from penstock.serving.on_ray.environment import REPLICA_PORTS
from penstock.settings import VARIABLES, Settings
from tests.checkout import ROOT
from tests.engine.rendering.conftest import Manifest

PAGE = (ROOT / "docs" / "production.md").read_text()


def test_the_page_names_every_port_that_a_container_has(pods: dict[str, Manifest]) -> None:
    table = PAGE.split("## What runs where")[1].split("## ")[0]
    written = {int(number) for number in re.findall(r"\b\d{4,5}\b", table)}
    opened = {
        port["containerPort"] for spec in pods.values() for one in spec["containers"] for port in one.get("ports", ())
    }
    assert {layout.HTTP, layout.WEB, layout.CODE_SERVER, layout.REPLICA} <= opened
    https = int(Settings(home=ROOT).https_address.rpartition(":")[2])
    assert opened | {https, METRICS_PORT, layout.AGENT, layout.POSTGRES, layout.REPLICA + REPLICA_PORTS - 1} == written


def test_the_page_names_commands_variables_and_secrets_that_there_are() -> None:
    commands = set(re.findall(r"`?penstock ([a-z]+)\b", "\n".join(re.findall(r"`[^`]+`|```.*?```", PAGE, re.S))))
    assert len(commands) > 8
    assert commands - set(COMMANDS) == set()
    known = {one.name for one in VARIABLES}
    assert set(re.findall(r"\bPENSTOCK_[A-Z_]+", PAGE)) <= known
    for secret in (layout.MIGRATE, layout.PIPELINE, layout.SERVICE, layout.KEYS):
        assert f"create secret generic {secret} " in PAGE, secret


def test_every_container_of_ours_in_compose_is_as_narrow_as_a_pod() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    own = {name: one for name, one in services.items() if name not in {"postgres", "volumes"}}
    assert own.keys() == {"migrate", "service", "dagster-code", "dagster-webserver", "dagster-daemon"}
    for name, one in own.items():
        assert (one["user"], one["read_only"], one["cap_drop"]) == ("10001:10001", True, ["ALL"]), name
        assert one["security_opt"] == ["no-new-privileges:true"], name
        assert set(one["environment"]) <= {variable.name for variable in VARIABLES}, name
    urls = [text for one in own.values() for text in one["environment"].values() if text.startswith("postgresql://")]
    assert len(urls) > 10
    assert all(":${POSTGRES_PASSWORD:?}@" in url for url in urls), "a secret stands in no file"
