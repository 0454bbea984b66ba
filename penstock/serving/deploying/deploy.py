"""Deploy onto the local head: the project as it is, its configuration alone, or what served before."""

import logging
import subprocess
import sys
from pathlib import Path

import msgspec

from penstock.errors import PenstockError
from penstock.file_lock import holder_of, waiting_for
from penstock.log_text import cause
from penstock.serving.deploying.code_copy import keep
from penstock.serving.deploying.history import Deploy, History
from penstock.serving.deploying.target import LOCK, Outcome, Target
from penstock.serving.on_ray import cluster
from penstock.serving.on_ray.environment import BEFORE, code_environment, folder, ray_environment
from penstock.serving.on_ray.remote import is_url
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
    """A cluster that others run, by the URL of its dashboard. `upload`: it gets the code; else its nodes have it."""

    url: str
    upload: bool = True


def deploy(settings: Settings, config: Path | None = None, elsewhere: Elsewhere | None = None) -> DeployRecord:
    """Bring the project's code and configuration onto the running service, and wait until it serves.

    Replicas are replaced one by one, each after its successor can serve; what did not change keeps running. DeployError
    where nothing was changed, or what was changed does not serve and is as before again.
    """
    project, head = settings.demand_project(), _head(settings, elsewhere)
    path = config or project.serve_config
    code = keep(project, History(settings).place, settings.home)
    upload = elsewhere is None or elsewhere.upload
    wanted = Target(head.address, code, path.read_text(), _name(path, project.root), upload=upload)
    return _run(settings, head, wanted)


def is_current(settings: Settings) -> bool:
    """Whether the running service has the code and the configuration of the project's files."""
    running, project = History(settings).running(_head(settings).address), settings.demand_project()
    if running is None:
        return False
    code = keep(project, History(settings).place, settings.home)
    return (running.code.digest, running.config) == (code.digest, project.serve_config.read_text())


def apply(settings: Settings, config: Path | None = None) -> DeployRecord:
    """Bring the configuration alone onto the running service, with the code that it runs; else as `deploy`."""
    running = History(settings).running(_head(settings).address)
    if running is None:
        return deploy(settings, config)
    project, head = settings.demand_project(), _head(settings)
    path = config or project.serve_config
    name = _name(path, project.root)
    return _run(settings, head, Target(head.address, running.code, path.read_text(), name))


def go_back(settings: Settings, elsewhere: Elsewhere | None = None) -> DeployRecord:
    """Serve again what the deploy before the newest served: its code and its configuration. The project's files and
    the releases of the books stay as they are."""
    head, target = _head(settings, elsewhere), History(settings).newest(1)
    if target is None:
        todo = "`penstock deploy` brings the project's files."
        raise DeployError("--back", expected="a deploy before the one that serves", found="none", todo=todo)
    name = f"serve_config.yaml of deploy {target.number}"
    upload = elsewhere is None or elsewhere.upload
    wanted = Target(head.address, target.code, target.config, name, back=True, upload=upload)
    return _run(settings, head, wanted)


def _run(settings: Settings, head: cluster.Cluster, wanted: Target) -> DeployRecord:
    history = History(settings)
    history.place.mkdir(parents=True, exist_ok=True)
    if holder := holder_of(history.place / LOCK):
        log.warning(waiting_for("another deploy", holder))
    before = history.running(head.address)
    log_file = settings.home / "logs" / "deploy.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    if not head.parts:  # the nodes of a cluster listen for all, and their replicas demand keys
        settings = msgspec.structs.replace(settings, http_host=EVERYWHERE)
    environment = ray_environment(settings, head.switches)
    code = code_environment(settings, Path(wanted.code.folder))
    code = {name: value.replace(BEFORE, environment["PYTHONPATH"]) for name, value in code.items()}
    with log_file.open("wb") as said:
        child = subprocess.Popen(
            [sys.executable, "-m", "penstock.serving.deploying.run"],
            env=environment | code,
            cwd=folder(settings),  # Ray lets replicas look here first: it holds no code
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
    outcome = msgspec.json.decode(answer, type=Outcome)
    now = history.newest()
    if outcome.refused or outcome.failed or now is None:
        raise DeployError(_refusal(outcome, wanted, before, settings))
    return DeployRecord(now, before, outcome.warnings)


def _refusal(outcome: Outcome, wanted: Target, before: Deploy | None, settings: Settings) -> str:
    """Why a deploy did not happen, and what serves now."""
    serves = f"The service goes on as it was: deploy {before.number}, code {before.code}." if before else ""
    if outcome.refused:
        return f"Nothing was deployed.\n{outcome.refused}\n{serves}".rstrip()
    logs = wanted.head if is_url(wanted.head) else folder(settings) / "ray" / "session_latest" / "logs"
    undone = f"Code {wanted.code} does not serve; it was taken back.\n" if before else ""
    return f"{undone}{outcome.failed}\n{serves}\nThe logs of the replicas are in {logs}.".replace("\n\n", "\n")


def _head(settings: Settings, elsewhere: Elsewhere | None = None) -> cluster.Cluster:
    if elsewhere:
        return cluster.Cluster(elsewhere.url, "", {}, ())
    found = cluster.find(settings)
    if found is None:
        raise PenstockError("Ray head", expected="a running one", found="none", todo="Run `penstock up` first.")
    return found


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
