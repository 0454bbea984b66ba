"""What a team edits and deploys while the service is asked: code, arguments, options, and the keys of its clients."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import click
import msgspec
import yaml

from benchmarks import ROOT
from penstock.project import containing
from penstock.serving.deploying.deploy import DeployError, Rollout
from penstock.settings import Settings

UNABLE = """
from ray import serve

class Unable(Predictions.func_or_class):
    async def __init__(self, book: str) -> None:
        raise RuntimeError("no way to start")

def build(args: dict) -> object:
    return serve.deployment(name="Predictions")(Unable).bind("prod")
"""
APPLICATION = "from penstock.serving.deployment import Predictions, build\n"


class Stood(Protocol):
    """A running service, on one machine or on a cluster."""

    @property
    def settings(self) -> Settings:
        """Those of the machine itself."""

    def rollout(self, settings: Settings) -> Rollout:
        """What deploys the project of these settings to it."""

    def wait_for_replicas(self, count: int) -> float:
        """Wait until so many replicas answer, and no other runs; gives how long that took."""


@dataclass
class Project:
    """A copy of the example's project beside a running service: what a team edits before it deploys."""

    root: Path
    stood: Stood
    replicas: int
    arguments: dict[str, str] = field(default_factory=lambda: {"book": "prod"})
    options: dict[str, Any] = field(default_factory=dict)
    changes: int = 0

    def write(self, application: str = APPLICATION) -> None:
        """Write the deployment and the configuration."""
        (self.root / "serve_app" / "deployment.py").write_text(f'"""Change {self.changes}."""\n\n{application}')
        config = yaml.safe_load((ROOT / "serve_app" / "serve_config.yaml").read_text())
        application_config = config["applications"][0]
        application_config["args"] = self.arguments
        made = application_config["deployments"][0]
        made["autoscaling_config"] |= {"min_replicas": self.replicas, "max_replicas": self.replicas}
        made |= self.options
        (self.root / "serve_app" / "serve_config.yaml").write_text(yaml.safe_dump(config))

    def deploy(self, *, application: str = APPLICATION, broken: bool = False) -> None:
        """Deploy what is written, and wait until only its replicas run; where it must fail, that it does."""
        self.write(application)
        settings = msgspec.structs.replace(self.stood.settings, project=containing(self.root))
        if broken or application != APPLICATION:
            file = self.root / "model_tools" / "flight_delay.py"
            text = file.read_text()
            file.write_text(text + "\nmissing\n" if broken else text)
            try:
                self.stood.rollout(settings).deploy()
            except DeployError as error:
                click.echo("    " + str(error).replace("\n", "\n    "), err=True)
            else:
                raise AssertionError("it was deployed")
            finally:
                file.write_text(text)
        else:
            self.stood.rollout(settings).deploy()
        self.stood.wait_for_replicas(self.replicas)

    def back(self) -> None:
        """Go back one deploy."""
        self.stood.rollout(msgspec.structs.replace(self.stood.settings, project=containing(self.root))).go_back()
        self.stood.wait_for_replicas(self.replicas)

    def change_code(self) -> None:
        """Deploy code that differs."""
        self.changes += 1
        self.deploy()

    def set(self, *, arguments: Mapping[str, str] | None = None, **options: Any) -> None:
        """Deploy with other arguments or options."""
        self.arguments = self.arguments if arguments is None else dict(arguments)
        self.options |= options
        self.deploy()


def write_keys(settings: Settings, *keys: str) -> None:
    """Let these keys be the valid ones."""
    file = Path(settings.api_keys_file)
    new = file.with_suffix(".new")
    new.write_text("".join(f"{hashlib.sha256(key.encode()).hexdigest()}\n" for key in keys))
    new.replace(file)
