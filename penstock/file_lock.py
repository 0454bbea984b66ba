"""A lock of one home, held by one process at a time: whoever waits says for what, and for a bounded time."""

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from penstock.errors import PenstockError

PATIENCE_SECONDS = 900.0
_POLL_SECONDS = 0.1

log = logging.getLogger("penstock.locks")


@contextmanager
def file_lock(
    path: Path, what: str, *, say: Callable[[str], None] = log.warning, patience: float = PATIENCE_SECONDS
) -> Iterator[None]:
    """Hold the lock in a file; `what` names who else may hold it, such as `another penstock up`.

    `say` is told once who is waited for. PenstockError after `patience` seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as lock:
        until, told = time.monotonic() + patience, False
        while not _take(lock.fileno()):
            lock.seek(0)
            holder = lock.read().strip()
            if time.monotonic() > until:
                raise PenstockError(
                    f"lock {path.name} of {path.parent}",
                    expected=f"{what} to end within {patience:.0f} s",
                    found=f"process {holder} still at work",
                    todo="Wait for it, or end it, then try again.",
                )
            if not told:
                say(waiting_for(what, holder))
                told = True
            time.sleep(_POLL_SECONDS)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def holder_of(path: Path) -> str:
    """The number of the process that holds the lock in a file; empty where none does."""
    if not path.exists():
        return ""
    with path.open("a+") as lock:
        if _take(lock.fileno()):
            return ""
        lock.seek(0)
        return lock.read().strip()


def waiting_for(what: str, holder: str) -> str:
    """What whoever waits says."""
    return f"{what[:1].upper()}{what[1:]} is at work here (process {holder}); waiting for it."


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
