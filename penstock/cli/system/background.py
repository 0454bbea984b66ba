"""Work in a daemon thread, so that neither Ctrl-C nor the end of a command waits for it."""

import threading
from collections.abc import Callable
from concurrent.futures import Future


def in_background(work: Callable[[], object]) -> Future[None]:
    """The future of work that has begun."""
    future: Future[None] = Future()

    def run() -> None:
        try:
            work()
            future.set_result(None)
        except BaseException as error:  # handed to whoever asks for the result
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
