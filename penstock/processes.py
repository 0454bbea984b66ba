"""The processes that Penstock starts: recorded by pid and creation time, so that exactly those are ended."""

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from itertools import chain, cycle
from pathlib import Path

import msgspec
import psutil

CLOCK_SLACK = 2.0  # seconds by which a creation time may seem to move when the machine's clock is set
PORTS = range(10_000, 20_000)
"""Where free ports are looked for. Above 32,767 Linux takes those of outgoing connections, and a port that was free a
moment ago is gone when its server starts."""
_candidates = cycle(random.sample(PORTS, len(PORTS)))


class Record(msgspec.Struct, frozen=True):
    """One started process: `created` is its creation time in seconds since 1970; `port` is 0 where it has none."""

    name: str
    pid: int
    created: float
    port: int
    command: list[str]
    log: str

    def process(self) -> psutil.Process | None:
        """The process itself while it lives; None when it ended, even if its pid was given to another."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < CLOCK_SLACK
            return process if same and _alive(process) else None
        except psutil.Error:
            return None


class Processes:
    """The records of one home, a JSON file each below its state folder."""

    def __init__(self, state: Path) -> None:
        self.state = state

    def find(self, name: str) -> Record | None:
        """The record of a part, alive or not."""
        with suppress(OSError, msgspec.DecodeError):
            return msgspec.json.decode(self._file(name).read_bytes(), type=Record)
        return None

    def running(self, name: str) -> Record | None:
        """The record of a part whose process lives."""
        record = self.find(name)
        return record if record and record.process() else None

    def all(self) -> list[Record]:
        """Every record, in name order."""
        names = sorted(file.name.removesuffix(".process.json") for file in self.state.glob("*.process.json"))
        return [record for name in names if (record := self.find(name))]

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str],
        cwd: Path,
        port: int = 0,
        niceness: int = 0,
    ) -> Record:
        """Start a command detached, its output appended to `log`, and record it.

        `niceness` is how far it and its children come after what started it, where the CPU is short.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            child = subprocess.Popen(  # noqa: S603
                command,
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if niceness:
            give_way(niceness, child.pid)
        return self.record(name, child.pid, port=port, command=command, log=log)

    def record(self, name: str, pid: int, *, port: int, command: Sequence[str], log: Path) -> Record:
        """Record a process that was started otherwise."""
        record = Record(name, pid, psutil.Process(pid).create_time(), port, list(command), str(log))
        self.state.mkdir(parents=True, exist_ok=True)
        written = self._file(name).with_suffix(f".{os.getpid()}")
        written.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=2))
        written.replace(self._file(name))
        return record

    def forget(self, name: str) -> None:
        """Drop a record."""
        self._file(name).unlink(missing_ok=True)

    def stop(self, name: str, *, grace: float = 10.0) -> bool:
        """End a part and its children, TERM first and KILL after `grace` seconds; False when it did not run."""
        return bool(self.stop_all([name], grace=grace))

    def stop_all(self, names: Sequence[str], *, grace: float = 10.0) -> list[str]:
        """End several parts and their children at once; returns the names of those that ran."""
        found = {name: record.process() for name in names if (record := self.find(name))}
        alive = {name: process for name, process in found.items() if process}
        end_trees(list(alive.values()), grace=grace)
        for name in names:
            self.forget(name)
        return list(alive)

    def _file(self, name: str) -> Path:
        return self.state / f"{name}.process.json"


def give_way(niceness: int, pid: int = 0) -> None:
    """Let a process, this one by default, be at least so nice; its children will be as well."""
    os.setpriority(os.PRIO_PROCESS, pid, max(niceness, os.getpriority(os.PRIO_PROCESS, pid)))


def let_waiting_threads_sleep() -> None:
    """Let OpenMP's threads sleep instead of spin while they wait, unless the environment says otherwise.

    A process calls this before it loads scikit-learn, which is when OpenMP reads the variable. A fit on a busy machine
    is then several times faster, and costs nothing on an idle one.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def tree(process: psutil.Process) -> list[psutil.Process]:
    """A process and all its descendants; empty when it is gone."""
    with suppress(psutil.NoSuchProcess):
        return [process, *process.children(recursive=True)]
    return []


def end_tree(process: psutil.Process, *, grace: float) -> None:
    """End a process and all its descendants: TERM, and KILL for those that live on after `grace` seconds."""
    end_trees([process], grace=grace)


def end_trees(processes: Sequence[psutil.Process], *, grace: float) -> None:
    """End several processes and all their descendants at once."""
    members = [member for process in processes for member in tree(process)]
    for member in members:
        with suppress(psutil.NoSuchProcess):
            member.terminate()
    stubborn = [descendant for member in still_alive(members, grace) for descendant in tree(member)]
    for member in stubborn:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    still_alive(stubborn, 5)


def still_alive(members: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that have not ended in time. A zombie has: its parent, not we, must reap it."""
    deadline = time.monotonic() + seconds
    while (alive := [member for member in members if _alive(member)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return alive


def _alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def memory(processes: Iterable[psutil.Process]) -> int:
    """Bytes of memory that the processes hold, shared pages counted by share (PSS); resident bytes where unknown."""
    return sum(_pss(process) for process in processes)


def _pss(process: psutil.Process) -> int:
    try:
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ProcessLookupError):
        with suppress(psutil.Error):
            return int(process.memory_info().rss)
    return 0


def free_port(host: str = "127.0.0.1", wanted: int = 0) -> int:
    """`wanted` where it is free, else a free port of PORTS that nobody holds and this process was not given lately."""
    own = (port for port in (next(_candidates) for _ in PORTS) if not _is_held(port))
    for port in chain([wanted] if wanted else [], own):
        with suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return port
    raise OSError(f"no free port on {host}")


def hold_port(held: ExitStack, port: int) -> bool:
    """Whether no other process has held the port; until `held` closes, none will, although nothing listens there yet.

    The sign is an abstract Unix socket of Linux: the machine's users share it and it ends with its process.
    """
    if sys.platform != "linux":
        return True
    sign = held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    try:
        sign.bind(_sign(port))
    except OSError:
        return False
    return True


def _is_held(port: int) -> bool:
    if sys.platform != "linux":
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        return probe.connect_ex(_sign(port)) == 0


def _sign(port: int) -> str:
    return f"\0penstock-port-{port}"


def is_own_address(host: str) -> bool:
    """Whether a name or address is one of this machine, at which a process can listen."""
    try:
        with socket.socket() as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True


def is_free(host: str, port: int) -> bool:
    """Whether a port can be bound now."""
    return free_port(host, port) == port
