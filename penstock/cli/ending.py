"""How a command ends by Ctrl-C or SIGTERM: at once, and with the queries that it runs."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

GRACE_SECONDS = 5.0
"""So long a command may take to end its queries and to put away what is half made."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM interrupt this process as Ctrl-C does, and exit with 128 and the signal's number.

    - The interrupt leaves every `with`: that ends the queries in the warehouse and in the books.
    - Where the main thread does not react, because a library waits and does not look for signals, the process ends
      after GRACE_SECONDS. Postgres notices within a second that a client is gone, see `Book.connect`.
    """
    received: list[int] = []

    def interrupt(number: int, _: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in SIGNALS}
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    fd = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)

    def watch() -> None:
        while number := reading.recv(1):
            if signal.getsignal(number[0]) is interrupt:  # a command may have a handler of its own
                time.sleep(GRACE_SECONDS)
                os._exit(128 + number[0])

    threading.Thread(target=watch, daemon=True, name="penstock signals").start()
    try:
        yield
    except BaseException:
        if received:
            raise SystemExit(128 + received[0]) from None
        raise
    finally:
        signal.set_wakeup_fd(fd)
        for number, handler in before.items():
            signal.signal(number, handler)
        writing.close()
