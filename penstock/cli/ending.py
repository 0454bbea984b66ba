"""How a command ends by Ctrl-C or SIGTERM: at once, and with the queries that it runs."""

import atexit
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

GRACE_SECONDS = 5.0
"""So long a command may take to end its queries and to put away what is half made."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM interrupt this process as Ctrl-C does, and exit with 128 and the signal's number.

    - The interrupt leaves every `with`: that ends the queries in the warehouse and in the books. A second one changes
      nothing, also while the process goes.
    - A signal that the caller let this process ignore stays ignored here, and is heard by the processes that it starts.
    - Where the main thread does not react, because a library waits and does not look for signals, the process ends
      after GRACE_SECONDS. Postgres notices within a second that a client is gone, see `Book.connect`.
    """
    received, left = list[int](), threading.Event()

    def interrupt(number: int, _: FrameType | None) -> None:
        received.append(number)
        if len(received) == 1:
            raise KeyboardInterrupt

    def ignore(_: int, __: FrameType | None) -> None:
        """In the place of SIG_IGN, which children would inherit: Dagster's processes would then ignore SIGTERM too."""

    # What a shell starts in the background does not hear its Ctrl-C.
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, was in before.items():
        signal.signal(number, ignore if was is signal.SIG_IGN else interrupt)
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    fd = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)

    def watch() -> None:
        while number := reading.recv(1):
            is_ours = signal.getsignal(number[0]) is interrupt  # a command may have a handler of its own
            if is_ours and not left.wait(GRACE_SECONDS):
                os._exit(128 + number[0])
        reading.close()

    threading.Thread(target=watch, daemon=True, name="penstock signals").start()
    try:
        yield
    except BaseException:
        if received:
            raise SystemExit(128 + received[0]) from None
        raise
    finally:
        left.set()
        signal.set_wakeup_fd(fd)
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if received else handler)
        writing.close()


@contextmanager
def without_finalizing() -> Iterator[None]:
    """Where a signal ends this process, leave it once everything is put away, with the interpreter as it is.

    Taken apart beside a thread that waits in a library, it aborts: "exception not rethrown" of DuckDB.
    """
    codes = list[int]()

    def leave() -> None:
        if codes:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(codes[0])

    atexit.register(leave)  # the first that is registered is the last that is called
    try:
        yield
    except SystemExit as end:
        codes += [code for code in (128 + number for number in SIGNALS) if end.code == code]
        raise
