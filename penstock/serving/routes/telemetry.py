"""What a replica notes about each HTTP request: counts per model, and a log line for a sample."""

import logging
import random
import sys
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import takewhile
from statistics import fmean

import msgspec

from penstock.serving.http.exchange import HttpRequest
from penstock.serving.http.problems import Problem
from penstock.serving.models.served_model import ServedModel

BOUNDS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
"""Upper bounds of the latency buckets in seconds; one more bucket is for all above."""
RECENT = 2000
UNCHANGED, NOTHING_MISSING = b'"unchanged":true}', b'"missing":[]'
LOGGED_SHARE = 0.01
SERVICE_LOG = "%(asctime)s %(levelname)s %(message)s"

log = logging.getLogger("penstock.requests")


class ModelCounts:
    """The counts of one model: answers by release in latency buckets, refusals by status."""

    def __init__(self, model: ServedModel) -> None:
        self._model = model
        self.buckets: dict[int, list[int]] = {}
        self.seconds: dict[int, float] = {}
        self.refusals: Counter[int] = Counter()
        self.predictions = 0
        self.unchanged = 0
        self.missing = 0
        self.recent: deque[tuple[float, float, int]] = deque(maxlen=RECENT)
        """Of the last answered HTTP requests: time.monotonic, seconds, predictions."""

    def answered(self, began: float, answers: Sequence[bytes]) -> None:
        """Count one HTTP request and its answers. `began` is of time.perf_counter."""
        seconds = time.perf_counter() - began
        release = self._model.release.number if self._model.release else 0
        buckets = self.buckets.get(release)
        if buckets is None:
            buckets = self.buckets[release] = [0] * (len(BOUNDS) + 1)
        buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds[release] = self.seconds.get(release, 0.0) + seconds
        self.predictions += len(answers)
        self.unchanged += sum([answer.endswith(UNCHANGED) for answer in answers])
        self.missing += sum([NOTHING_MISSING not in answer for answer in answers])
        self.recent.append((time.monotonic(), seconds, len(answers)))

    @contextmanager
    def counting_refusals(self) -> Iterator[None]:
        """Count a Problem that ends the block."""
        try:
            yield
        except Problem as problem:
            self.refusals[problem.status] += 1
            raise


def recent_latency(counts: Iterable[ModelCounts], seconds: float) -> float:
    """The mean milliseconds of the HTTP requests that were answered in the last `seconds`; 0 where there was none."""
    since = time.monotonic() - seconds
    found = [
        took for one in counts for _, took, _ in takewhile(lambda answer: answer[0] >= since, reversed(one.recent))
    ]
    return fmean(found) * 1000 if found else 0.0


class LogEntry(msgspec.Struct, frozen=True):
    """One logged request, without its content. `share` is the share of such requests that is logged."""

    at: datetime
    request_id: str
    method: str
    path: str
    status: int
    ms: float
    bytes: int
    share: float


def log_request(request: HttpRequest, status: int, size: int, began: float) -> None:
    """Log an answered request: always if it failed (5xx), else a sample. `began` is of time.perf_counter."""
    share = 1.0 if status >= 500 else LOGGED_SHARE
    if share < 1.0 and random.random() >= share:  # noqa: S311  sampling
        return
    took = round((time.perf_counter() - began) * 1000, 2)
    entry = LogEntry(datetime.now(UTC), request.id, request.method, request.path[:200], status, took, size, share)
    log.info(msgspec.json.encode(entry).decode())


def log_to_stderr() -> None:
    """Send the request log, as it is, and the service's log to standard error.

    To the process' own: Ray Serve replaces `sys.stderr` by a logger that drops everything below its level, which is
    WARNING in serve_config.yaml, and takes all that arrives there for INFO.
    """
    for logger, form in ((log, "%(message)s"), (logging.getLogger("penstock.serve"), SERVICE_LOG)):
        handler = logging.StreamHandler(sys.__stderr__ or sys.stderr)
        handler.setFormatter(logging.Formatter(form))
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(logging.INFO)
