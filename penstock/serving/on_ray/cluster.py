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
from penstock.serving.on_ray.haproxy import Entry, Https
from penstock.settings import Settings

OBJECT_STORE_BYTES = 80 * 1024 * 1024
PARTS = ("gcs_server", "raylet")
STOP_SECONDS = 8.0


class Head(msgspec.Struct, frozen=True):
    """A running local head: its address, where the service listens, the variables with which its programs find each
    other, its processes."""

    address: str
    http: str
    switches: dict[str, str]
    parts: tuple[Record, ...]


class RayCluster:
    """Ray of one home: a local head without a dashboard, whose every part listens on loopback."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._processes = Processes(settings.state)
        self._file = settings.state / "ray.json"

    def find(self) -> Head | None:
        """The head while it runs."""
        try:
            head = msgspec.json.decode(self._file.read_bytes(), type=Head)
        except (OSError, msgspec.DecodeError):
            return None
        return head if all(part.process() for part in head.parts) else None

    def find_as_set(self) -> Head | None:
        """The head while it runs and listens where the settings say."""
        running = self.find()
        return running if running and running.http == self._entries() else None

    def demand(self) -> Head:
        """The head that runs; PenstockError where none does."""
        found = self.find()
        if found is None:
            raise PenstockError("Ray head", expected="a running one", found="none", todo="Run `penstock up` first.")
        return found

    def start(self) -> Head:
        """Start the head, or find it running."""
        if running := self.find_as_set():
            return running
        self.stop()
        try:
            return self._start()
        except PenstockError:  # a busy machine may need longer than the 30 s that Ray waits for itself
            return self._start()

    def stop(self) -> bool:
        """End the head and all its workers, by pid; False when it did not run."""
        ended = [self._processes.stop(f"ray-{part}", grace=STOP_SECONDS) for part in reversed(PARTS)]
        for process in self._ours():  # an HAProxy whose parent was killed
            end_tree(process, grace=STOP_SECONDS)
        self._file.unlink(missing_ok=True)
        shutil.rmtree(folder(self._settings.home), ignore_errors=True)
        return any(ended)

    def _entries(self) -> str:
        """Where the service listens, in one text."""
        http, https = f"{self._settings.http_host}:{self._settings.http_port}", self._https()
        return f"{http} {https.address} {https.file}" if https else http

    def _https(self) -> Https | None:
        return Https.of(self._settings.https_address, self._settings.tls_file)

    def _start(self) -> Head:
        entry = Entry(self._settings.http_host, self._settings.http_port)
        switches = ray_switches(self._settings.home, self._https(), entry)
        environment = ray_environment(self._settings, switches)
        port = free_port()
        log = self._settings.home / "logs" / "ray.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        before = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            starter = subprocess.Popen(  # noqa: S603
                _command(port, folder(self._settings.home) / "ray"),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._settings.demand_project().root,
                start_new_session=True,  # a Ctrl-C or `timeout` that ends the caller's group leaves the head
            )
        while starter.poll() is None:
            _end_unneeded(starter.pid)
            time.sleep(0.05)
        _end_unneeded(starter.pid)
        parts = self._record(log)
        if starter.returncode or len(parts) != len(PARTS):
            self.stop()
            with log.open("rb") as written:
                written.seek(before)
                found = cause(written.read().decode(errors="replace")) or f"exit status {starter.returncode}"
            raise PenstockError("Ray head", expected="to start", found=found, todo=f"See {log}.")
        head = Head(f"127.0.0.1:{port}", self._entries(), switches, parts)
        self._file.write_bytes(msgspec.json.encode(head))
        self._file.chmod(0o600)
        return head

    def _record(self, log: Path) -> tuple[Record, ...]:
        """Record the head's processes: those of Ray's programs that were started over this home's folder."""
        self._settings.state.mkdir(parents=True, exist_ok=True)
        found: dict[str, Record] = {}
        for process in self._ours():
            command = " ".join(process.info["cmdline"])
            for part in PARTS:
                if f"/{part} " in command:
                    found[part] = self._processes.record(f"ray-{part}", process.pid, port=0, command=[part], log=log)
        return tuple(found[part] for part in PARTS if part in found)

    def _ours(self) -> list[psutil.Process]:
        """This user's processes that were started over this home's folder."""
        place = str(folder(self._settings.home))
        return [
            process
            for process in psutil.process_iter(["cmdline", "uids"])
            if process.info["uids"].real == os.getuid() and place in " ".join(process.info["cmdline"] or [])
        ]


def _command(port: int, place: Path) -> list[str]:
    """`ray start` for a head whose files are at a place, every port but its own a free one."""
    return [
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
        *(f"--object-store-memory={OBJECT_STORE_BYTES}", f"--temp-dir={place}"),
    ]


def _end_unneeded(session: int) -> None:
    """End what `ray start` always starts and nothing here needs, as soon as it appears: seconds and 200 MB less.

    By its session, since what it has started last may outlive it by then.
    """
    for pid in psutil.pids():
        with suppress(psutil.NoSuchProcess, ProcessLookupError, PermissionError):
            if os.getsid(pid) == session:
                process = psutil.Process(pid)
                command = " ".join(process.cmdline())
                if any(unneeded in command for unneeded in UNNEEDED):
                    process.terminate()
