"""One stream of chunks, which is read and encoded once, for several receivers."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait

_WAITING = 16
"""How many chunks may wait for one receiver: enough to keep it busy, few enough for constant memory."""


class SourceError(Exception):
    """Raised inside the receivers when the source of the chunks fails, so that they roll back."""


class _Lane:
    """The queue of chunks of one receiver."""

    def __init__(self, stop: threading.Event) -> None:
        self._queue: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self._stop = stop

    def put(self, chunk: bytes | None) -> bool:
        """Add a chunk, None for the end. Returns False when everything has to stop."""
        while not self._stop.is_set():
            try:
                self._queue.put(chunk, timeout=0.05)
            except queue.Full:
                continue
            return True
        return False

    def __iter__(self) -> Iterator[bytes]:
        while True:
            try:
                chunk = self._queue.get(timeout=0.05)
            except queue.Empty:
                if self._stop.is_set():
                    raise SourceError from None
                continue
            if chunk is None:
                return
            yield chunk


def fan_out(chunks: Iterable[bytes], receivers: Sequence[Callable[[Iterable[bytes]], None]]) -> None:
    """Send every chunk to every receiver, each in a thread of its own. The slowest receiver sets the pace.

    If the source or a receiver fails, the other receivers see SourceError, and the first failure is raised.
    """
    stop = threading.Event()
    lanes = [_Lane(stop) for _ in receivers]
    with ThreadPoolExecutor(len(receivers), thread_name_prefix="copy") as pool:
        running = [pool.submit(_run, receiver, lane, stop) for receiver, lane in zip(receivers, lanes, strict=True)]
        try:
            for chunk in chunks:
                if not all(lane.put(chunk) for lane in lanes):
                    break
            else:
                for lane in lanes:
                    lane.put(None)
        except BaseException:
            stop.set()
            raise
        wait(running, return_when=FIRST_EXCEPTION)
    _raise_first(running)


def _run(receiver: Callable[[Iterable[bytes]], None], lane: _Lane, stop: threading.Event) -> None:
    try:
        receiver(lane)
    except BaseException:
        stop.set()
        raise


def _raise_first(done: Sequence[Future[None]]) -> None:
    failures = [error for future in done if (error := future.exception()) is not None]
    for error in failures:
        if not isinstance(error, SourceError):
            raise error
    if failures:
        raise failures[0]
