"""What is asked of running processes, some of which may end meanwhile."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import psutil

Answer = TypeVar("Answer")


def each(processes: Iterable[psutil.Process], ask: Callable[[psutil.Process], Answer]) -> Iterator[Answer]:
    """What each process answers; nothing for one that is about to end, whose files are root's by then."""
    for process in processes:
        try:
            yield ask(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            process.wait(timeout=10)


def listening(processes: Iterable[psutil.Process]) -> list[Any]:
    """The addresses, of IP and port, on which they listen by TCP."""
    sockets = each(processes, lambda process: process.net_connections("tcp"))
    return [one.laddr for found in sockets for one in found if one.status == psutil.CONN_LISTEN and one.laddr]
