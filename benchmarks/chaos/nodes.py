"""Nodes of a cluster on one Linux machine, as root: network namespaces on a bridge, each with a folder of its own.

A node has a namespace of processes too: `ray start --head` refuses where it sees a raylet of its own address, and those
of the other nodes are such while a head is away.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from penstock.processes import end_tree

FIRST = 11
"""The last byte of the first node's address; the machine itself has 1."""
RAYS_FOLDER = Path("/tmp/ray")  # where Ray puts its sockets, of every node alike
COMMAND_SECONDS = 60.0
END_SECONDS = 10.0


@dataclass(frozen=True)
class Node:
    """A namespace with one address. `folder` is what only this node has; `holders` are the pids of what keeps its
    namespaces, the last of which is the first process inside."""

    name: str
    cable: str
    address: str
    folder: Path
    holders: tuple[int, ...]

    def command(self, command: Sequence[str]) -> list[str]:
        """A command as this node runs it: in its network, with Ray's folder of its own."""
        return ["nsenter", f"--target={self.holders[-1]}", "--net", "--pid", "--mount", *command]

    def run(self, command: Sequence[str], environment: Mapping[str, str], seconds: float = COMMAND_SECONDS) -> str:
        """Run a command to its end; returns what it printed. RuntimeError with that where it fails."""
        log = self.folder / "commands.log"
        with log.open("ab") as output:
            began = output.tell()
            done = subprocess.run(
                self.command(command),
                check=False,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=seconds,
                start_new_session=True,
            )
        with log.open("rb") as written:
            written.seek(began)
            said = written.read().decode(errors="replace")
        if done.returncode:
            raise RuntimeError(f"{command[-1]} ended with {done.returncode}:\n{said[-3000:]}")
        return said

    def processes(self) -> list[psutil.Process]:
        """What runs in this node."""
        found = []
        for pid in _ip("netns", "pids", self.name).split():
            with suppress(psutil.NoSuchProcess):
                found += [] if int(pid) in self.holders else [psutil.Process(int(pid))]
        return found

    def named(self, part: str) -> list[psutil.Process]:
        """What runs in this node with `part` in its command."""
        found = []
        for process in self.processes():
            with suppress(psutil.Error):
                found += [process] if part in " ".join(process.cmdline()) else []
        return found

    def kill(self) -> None:
        """End everything of the node with SIGKILL, as if its power had failed."""
        end = time.monotonic() + END_SECONDS
        while (running := self.processes()) and time.monotonic() < end:
            for process in running:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGKILL)
            psutil.wait_procs(running, timeout=1)

    def cut_off(self) -> None:
        """Let no packet in or out."""
        _ip("link", "set", self.cable, "down")

    def connect(self) -> None:
        """Let packets through again."""
        _ip("link", "set", self.cable, "up")


@dataclass(frozen=True)
class Nodes:
    """The nodes of one cluster, and the address at which they reach the machine itself."""

    host: str
    network: str
    nodes: tuple[Node, ...]


def hindrance() -> str:
    """Why this process can make no nodes; empty where it can."""
    if os.name != "posix" or os.geteuid() != 0:
        return "network namespaces need root"
    name = f"penstock-try-{os.getpid()}"
    try:
        _ip("netns", "add", name)
        _ip("netns", "delete", name)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"network namespaces are not allowed here: {getattr(error, 'stderr', '') or error}"
    return ""


@contextmanager
def nodes(count: int, folder: Path) -> Iterator[Nodes]:
    """Make so many nodes, and remove them with everything that runs in them."""
    tag = f"{os.getpid() % 0x10000:04x}"
    bridge, network = f"pskbr{tag}", f"10.219.{os.getpid() % 250 + 1}"
    RAYS_FOLDER.mkdir(exist_ok=True, mode=0o1777)
    made: list[Node] = []
    names: list[str] = []
    before = signal.getsignal(signal.SIGINT)
    with suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # a run in the background ends as by Ctrl-C
    try:
        _ip("link", "add", bridge, "type", "bridge")
        _ip("address", "add", f"{network}.1/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        for number in range(count):
            name, own = f"psk{tag}n{number}", folder / f"n{number}"
            (own / "ray").mkdir(parents=True)
            _ip("netns", "add", name)
            names.append(name)
            node = Node(name, f"psk{tag}c{number}", f"{network}.{FIRST + number}", own, _hold(name, own))
            made.append(node)
            _ip("link", "add", node.cable, "type", "veth", "peer", "name", "eth0", "netns", node.name)
            _ip("link", "set", node.cable, "master", bridge, "up")
            _ip("-n", node.name, "address", "add", f"{node.address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                _ip("-n", node.name, "link", "set", device, "up")
            _ip("-n", node.name, "route", "add", "default", "via", f"{network}.1")
        yield Nodes(f"{network}.1", f"{network}.0/24", tuple(made))
    finally:
        with suppress(ValueError):  # not the main thread
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)  # a second one would leave namespaces behind
        for node in made:
            with suppress(subprocess.CalledProcessError):
                node.kill()
            for holder in reversed(node.holders):
                with suppress(psutil.NoSuchProcess):
                    end_tree(psutil.Process(holder), grace=0)
        for name in names:
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "delete", name)
        with suppress(subprocess.CalledProcessError):
            _ip("link", "delete", bridge)
        with suppress(ValueError):
            signal.signal(signal.SIGINT, before)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def pid_inside(process: psutil.Process) -> int:
    """The pid that a process has in its own namespace; 0 where it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    return 0


def _ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


def _hold(name: str, own: Path) -> tuple[int, ...]:
    """Start what keeps a node's namespaces of processes and mounts; returns its pids, the last one inside."""
    inside = f"trap '' CHLD; mount --bind {own / 'ray'} {RAYS_FOLDER} && exec sleep infinity"  # it leaves no zombies
    holder = subprocess.Popen(
        ["ip", "netns", "exec", name, "unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", inside],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    end = time.monotonic() + END_SECONDS
    while time.monotonic() < end:
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(holder.pid).children():
                if child.name() == "sleep":
                    return holder.pid, child.pid
        time.sleep(0.02)
    holder.kill()
    raise RuntimeError(f"{name}: no namespaces after {END_SECONDS:.0f} s")
