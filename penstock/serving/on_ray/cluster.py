"""The local Ray head: started on loopback with ports of its own, found again, and stopped by pid."""

import os
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import msgspec
import psutil

from penstock.errors import PenstockError
from penstock.log_text import cause
from penstock.processes import Processes, Record, end_tree, free_port
from penstock.serving.on_ray.compat import UNNEEDED, ray_command
from penstock.serving.on_ray.environment import folder, ray_environment, ray_switches
from penstock.settings import Settings

OBJECT_STORE_BYTES = 80 * 1024 * 1024
PARTS = ("gcs_server", "raylet")
STOP_SECONDS = 8.0


class Cluster(msgspec.Struct, frozen=True):
    """A running local head: its address, the variables with which its programs find each other, its processes."""

    address: str
    http: str
    switches: dict[str, str]
    parts: tuple[Record, ...]


def find(settings: Settings) -> Cluster | None:
    """The local head of this home while it runs."""
    try:
        cluster = msgspec.json.decode(_file(settings).read_bytes(), type=Cluster)
    except (OSError, msgspec.DecodeError):
        return None
    return cluster if all(part.process() for part in cluster.parts) else None


def start(settings: Settings) -> Cluster:
    """Start the local head, or find it running. It has no dashboard; everything listens on loopback."""
    http = f"{settings.http_host}:{settings.http_port}"
    running = find(settings)
    if running and running.http == http:
        return running
    stop(settings)
    try:
        return _start(settings, http)
    except PenstockError:  # a busy machine may need longer than the 30 s that Ray waits for itself
        return _start(settings, http)


def _start(settings: Settings, http: str) -> Cluster:
    switches = ray_switches(settings)
    environment = ray_environment(settings, switches)
    port = free_port()
    log = settings.home / "logs" / "ray.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [
        *(*ray_command(), "start", "--head", "--node-ip-address=127.0.0.1"),
        *(f"--port={port}", f"--object-manager-port={free_port()}", f"--node-manager-port={free_port()}"),
        *("--min-worker-port=0", "--max-worker-port=0", f"--ray-client-server-port={free_port()}"),
        *(f"--dashboard-agent-listen-port={free_port()}", f"--dashboard-agent-grpc-port={free_port()}"),
        *(
            f"--runtime-env-agent-port={free_port()}",
            f"--metrics-export-port={free_port()}",
            f"--dashboard-port={free_port()}",
        ),
        *("--include-dashboard=false", "--include-log-monitor=false", "--no-monitor", "--disable-usage-stats"),
        *(f"--object-store-memory={OBJECT_STORE_BYTES}", f"--temp-dir={folder(settings) / 'ray'}"),
    ]
    before = log.stat().st_size if log.exists() else 0
    place = settings.demand_project().root
    with log.open("ab") as output:
        starter = subprocess.Popen(  # noqa: S603
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=place,
            start_new_session=True,  # a Ctrl-C or `timeout` that ends the caller's group leaves the head
        )
    while starter.poll() is None:
        _end_unneeded(starter.pid)
        time.sleep(0.05)
    parts = _record(settings, log)
    if starter.returncode or len(parts) != len(PARTS):
        stop(settings)
        with log.open("rb") as written:
            written.seek(before)
            found = cause(written.read().decode(errors="replace")) or f"exit status {starter.returncode}"
        raise PenstockError("Ray head", expected="to start", found=found, todo=f"See {log}.")
    cluster = Cluster(f"127.0.0.1:{port}", http, switches, parts)
    _file(settings).write_bytes(msgspec.json.encode(cluster))
    _file(settings).chmod(0o600)
    return cluster


def stop(settings: Settings) -> bool:
    """End the head and all its workers, by pid; False when it did not run."""
    processes = Processes(settings.state)
    ended = [processes.stop(f"ray-{part}", grace=STOP_SECONDS) for part in reversed(PARTS)]
    for process in _ours(settings):  # an HAProxy whose parent was killed
        end_tree(process, grace=STOP_SECONDS)
    _file(settings).unlink(missing_ok=True)
    shutil.rmtree(folder(settings), ignore_errors=True)
    return any(ended)


def _file(settings: Settings) -> Path:
    return settings.state / "ray.json"


def _end_unneeded(starter: int) -> None:
    """End what `ray start` always starts and nothing here needs, as soon as it appears: seconds and 200 MB less."""
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(starter).children():
            with suppress(psutil.NoSuchProcess):
                command = " ".join(child.cmdline())
                if any(unneeded in command for unneeded in UNNEEDED):
                    child.terminate()


def _record(settings: Settings, log: Path) -> tuple[Record, ...]:
    """Record the head's processes: those of Ray's programs that were started over this home's folder."""
    settings.state.mkdir(parents=True, exist_ok=True)
    processes = Processes(settings.state)
    found: dict[str, Record] = {}
    for process in _ours(settings):
        command = " ".join(process.info["cmdline"])
        for part in PARTS:
            if f"/{part} " in command:
                found[part] = processes.record(f"ray-{part}", process.pid, port=0, command=[part], log=log)
    return tuple(found[part] for part in PARTS if part in found)


def _ours(settings: Settings) -> list[psutil.Process]:
    """This user's processes that were started over this home's folder."""
    place = str(folder(settings))
    return [
        process
        for process in psutil.process_iter(["cmdline", "uids"])
        if process.info["uids"].real == os.getuid() and place in " ".join(process.info["cmdline"] or [])
    ]
