"""Slowing what runs: its processes stand still and go on, in turns."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import psutil


@contextmanager
def slowed(processes: Callable[[], Sequence[psutil.Process]], *, still: float, goes: float) -> Iterator[None]:
    """Let processes stand still for so many seconds, then go on for so many, until the context ends. They are looked
    for anew each time."""
    ended = threading.Event()

    def pulse() -> None:
        while not ended.is_set():
            stopped = _signal(processes(), signal.SIGSTOP)
            ended.wait(still)
            _signal(stopped, signal.SIGCONT)
            ended.wait(goes)

    thread = threading.Thread(target=pulse, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _signal(processes: Sequence[psutil.Process], number: int) -> Sequence[psutil.Process]:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
    return processes
