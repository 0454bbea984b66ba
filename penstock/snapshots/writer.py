"""Which process writes what lies in a store, and whether it still runs."""

import hashlib
import os
import socket
from pathlib import Path

import psutil


def writer() -> str:
    """This process by place, pid and creation time, by which another process there can tell whether it still runs."""
    return f"{_place()}~{os.getpid()}~{psutil.Process().create_time():.2f}"


def _place() -> str:
    """Where a pid means one process: host, boot and pid namespace. Containers may share the name of a host."""
    facts = [socket.gethostname()]
    for path in (Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")):
        try:
            facts.append(os.readlink(path) if path.is_symlink() else path.read_text().strip())
        except OSError:  # no Linux
            facts.append("")
    return f"{facts[0]}~{hashlib.sha256(' '.join(facts).encode()).hexdigest()[:12]}"


def is_dead(name: str) -> bool | None:
    """Whether the process of that name has ended; None for one of another place, which nobody here can know."""
    rest, _, created = name.rpartition("~")
    place, _, process = rest.rpartition("~")
    if place != _place() or not process.isdecimal():
        return None
    try:
        return f"{psutil.Process(int(process)).create_time():.2f}" != created
    except psutil.NoSuchProcess:
        return True
