"""Deploying: the project as it is, its configuration alone, or what served before."""

import logging
import subprocess
import sys
from pathlib import Path

import msgspec

from penstock.errors import PenstockError
from penstock.file_lock import holder_of, waiting_for
from penstock.log_text import cause
from penstock.serving.deploying.code_copy import Code, keep
from penstock.serving.deploying.history import Deploy, History
from penstock.serving.deploying.target import LOCK, DeployResult, Target
from penstock.serving.on_ray.cluster import Head, RayCluster
from penstock.serving.on_ray.environment import BEFORE, code_environment, folder, ray_environment
from penstock.serving.on_ray.remote import demand_dashboard, is_url
from penstock.settings import EVERYWHERE, Settings

log = logging.getLogger("penstock.deploy")


class DeployError(PenstockError):
    """A deploy that changed nothing, or that was undone: its text says which, and why."""


class DeployRecord(msgspec.Struct, frozen=True):
    """The deploy that serves, the one that served before, and what it does not serve either."""

    now: Deploy
    before: Deploy | None
    warnings: tuple[str, ...]


class Elsewhere(msgspec.Struct, frozen=True):
    """A cluster that others run, by the URL of its dashboard. `upload`: it gets the code; else its nodes have it.

    PenstockError where the URL is none of a dashboard.
    """

    url: str
    upload: bool = True

    def __post_init__(self) -> None:
        demand_dashboard(self.url)


class Rollout:
    """Brings code and configuration onto the local head of the settings' home, or onto a cluster `elsewhere`.

    Replicas are replaced one by one, each after its successor can serve; what did not change keeps running. Each method
    waits until it serves; DeployError where nothing was changed, or what was changed does not serve and is as before.
    """

    def __init__(self, settings: Settings, elsewhere: Elsewhere | None = None) -> None:
        self._settings = settings
        self._upload = elsewhere is None or elsewhere.upload
        self._history = History(settings.home)
        self._head = Head(elsewhere.url, "", {}, ()) if elsewhere else RayCluster(settings).demand()

    def deploy(self, config: Path | None = None) -> DeployRecord:
        """Serve the project's code, and its configuration or another file's."""
        path = config or self._settings.demand_project().serve_config
        return self._run(self._target(self._code(), path.read_text(), self._name(path)))

    def is_current(self) -> bool:
        """Whether the running service has the code and the configuration of the project's files."""
        running = self._history.running(self._head.address)
        if running is None:
            return False
        config = self._settings.demand_project().serve_config.read_text()
        return (running.code.digest, running.config) == (self._code().digest, config)

    def apply(self, config: Path | None = None) -> DeployRecord:
        """Serve the configuration with the code that is running; else as `deploy`."""
        running = self._history.running(self._head.address)
        if running is None:
            return self.deploy(config)
        path = config or self._settings.demand_project().serve_config
        return self._run(self._target(running.code, path.read_text(), self._name(path)))

    def go_back(self) -> DeployRecord:
        """Serve again what the deploy before the newest served: its code and its configuration. The project's files and
        the releases of the books stay as they are."""
        before = self._history.newest(1)
        if before is None:
            todo = "`penstock deploy` brings the project's files."
            raise DeployError("--back", expected="a deploy before the one that serves", found="none", todo=todo)
        name = f"serve_config.yaml of deploy {before.number}"
        return self._run(self._target(before.code, before.config, name, back=True))

    def _code(self) -> Code:
        return keep(self._settings.demand_project(), self._history.place, self._settings.home)

    def _target(self, code: Code, config: str, name: str, *, back: bool = False) -> Target:
        return Target(self._head.address, code, config, name, back=back, upload=self._upload)

    def _name(self, path: Path) -> str:
        root = self._settings.demand_project().root
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)

    def _run(self, wanted: Target) -> DeployRecord:
        history, home = self._history, self._settings.home
        history.place.mkdir(parents=True, exist_ok=True)
        if holder := holder_of(history.place / LOCK):
            log.warning(waiting_for("another deploy", holder))
        before = history.running(wanted.head)
        log_file = home / "logs" / "deploy.log"
        log_file.parent.mkdir(parents=True, exist_ok=True)
        with log_file.open("wb") as said:
            child = subprocess.Popen(
                [sys.executable, "-m", "penstock.serving.deploying.run"],
                env=self._environment(wanted.code),
                cwd=folder(home),  # Ray lets replicas look here first: it holds no code
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                start_new_session=True,
            )
            answer, _ = child.communicate(msgspec.json.encode(wanted))  # a Ctrl-C ends the waiting, and not the deploy
        if child.returncode:
            raise DeployError(
                "deploy", expected="to end", found=cause(log_file.read_text(errors="replace")), todo=f"See {log_file}."
            )
        result = msgspec.json.decode(answer, type=DeployResult)
        now = history.newest()
        if result.refused or result.failed or now is None:
            raise DeployError(self._refusal(result, wanted, before))
        return DeployRecord(now, before, result.warnings)

    def _environment(self, code: Code) -> dict[str, str]:
        """The environment of the deploy's process, which imports the code as a replica does."""
        settings = self._settings
        if not self._head.parts:  # the nodes of a cluster listen for all, and their replicas demand keys
            settings = msgspec.structs.replace(settings, http_host=EVERYWHERE)
        environment = ray_environment(settings, self._head.switches)
        of_code = code_environment(settings.home, Path(code.folder))
        return environment | {name: text.replace(BEFORE, environment["PYTHONPATH"]) for name, text in of_code.items()}

    def _refusal(self, result: DeployResult, wanted: Target, before: Deploy | None) -> str:
        """Why a deploy did not happen, and what serves now."""
        serves = f"The service goes on as it was: deploy {before.number}, code {before.code}." if before else ""
        if result.refused:
            return f"Nothing was deployed.\n{result.refused}\n{serves}".rstrip()
        local = folder(self._settings.home) / "ray" / "session_latest" / "logs"
        logs = wanted.head if is_url(wanted.head) else local
        undone = f"Code {wanted.code} does not serve; it was taken back.\n" if before else ""
        return f"{undone}{result.failed}\n{serves}\nThe logs of the replicas are in {logs}.".replace("\n\n", "\n")
