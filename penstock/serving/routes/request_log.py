"""The request log: one JSON line for a share of the requests, without what was asked or answered."""

import logging
import random
import sys
import time
from datetime import UTC, datetime

import msgspec

from penstock.serving.http.exchange import Request

SHARE = 0.01

log = logging.getLogger("penstock.requests")


class Line(msgspec.Struct, frozen=True):
    """One logged request. `share` is the share of such requests that is logged: every failure, few of the others."""

    at: datetime
    request_id: str
    method: str
    path: str
    status: int
    ms: float
    bytes: int
    share: float


def write(request: Request, status: int, size: int, began: float) -> None:
    """Log an answered request: always if it failed (5xx), else a sample. `began` is of time.perf_counter."""
    share = 1.0 if status >= 500 else SHARE
    if share < 1.0 and random.random() >= share:  # noqa: S311  sampling
        return
    took = round((time.perf_counter() - began) * 1000, 2)
    line = Line(datetime.now(UTC), request.id, request.method, request.path[:200], status, took, size, share)
    log.info(msgspec.json.encode(line).decode())


def to_stderr() -> None:
    """Send the lines, as they are, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.handlers = [handler]
    log.propagate = False
    log.setLevel(logging.INFO)
