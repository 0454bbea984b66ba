"""The first prediction over HTTP: a real coming request, its answer, and the curl that asks it again."""

import shlex
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from penstock.client import Client, ServiceError
from penstock.contract.registry import read_contracts
from penstock.declare.model import Model
from penstock.errors import PenstockError
from penstock.project import Project
from penstock.warehouse.interface import Warehouse

WAIT_SECONDS = 60.0
ASK_SECONDS = 30.0
READY_SECONDS = 2.0
NOT_YET = frozenset({0, 404, 500, 502, 503, 504})
FINAL = ("urn:penstock:problem:release-refused", "urn:penstock:problem:broken-file")
"""Problems that waiting does not end."""
FINAL_SECONDS = 3.0
"""A replica may say so for a moment after a release or a deploy."""


class NoPrediction(PenstockError):
    """The service does not answer a prediction."""


@dataclass(frozen=True)
class FirstPrediction:
    """A request and its answer, both as JSON."""

    model: str
    url: str
    request: bytes
    answer: bytes
    milliseconds: float
    keyed: bool

    def pretty(self) -> str:
        """The answer, indented."""
        return msgspec.json.format(self.answer, indent=2).decode()

    @property
    def curl(self) -> str:
        """A command to paste."""
        key = ' -H "X-API-Key: $PENSTOCK_API_KEY"' if self.keyed else ""
        return f"curl -s {self.url} -H 'Content-Type: application/json'{key} -d {shlex.quote(self.request.decode())}"


def is_ready(url: str, project: Project | None) -> bool:
    """Whether the service says that it can answer; that it runs is enough where the project has no model yet."""
    known = read_contracts(project)
    with Client(url, "", timeout=READY_SECONDS) as client:
        return client.ready() or (not (known.by_model or known.broken) and client.alive())


def first_request(model: Model, warehouse: Warehouse, now: datetime) -> dict[str, Any]:
    """The first coming request about a model; NoPrediction where the warehouse has none."""
    from penstock.extract.coming_requests import coming  # not in the image that serves

    requests = coming(model, 1, warehouse, now)
    if not requests:
        raise NoPrediction(
            f"model {model.contract.model!r}",
            expected="a coming request in the warehouse",
            found="none",
            todo="Look at its requests query.",
        )
    return requests[0]


def ask(service: str, name: str, request: dict[str, Any], logs: Path, key: str = "") -> FirstPrediction:
    """Ask the service at a URL about a model. Waits up to a minute while the service loads its first release.

    NoPrediction at once where the service's code cannot serve the release, or the model's file is broken.

    `key` is the API key, if the service demands one.
    """
    url = f"{service}/models/{name}/predict"
    deadline = time.monotonic() + WAIT_SECONDS
    final_since: float | None = None
    with Client(service, name, key=key, timeout=ASK_SECONDS, repeat=False) as client:
        while True:
            started = time.monotonic()
            try:
                answer = client.predict(request)
            except ServiceError as refused:
                now, is_final = time.monotonic(), refused.document.get("type") in FINAL
                final_since = (final_since or now) if is_final else None
                if final_since is not None and now > final_since + FINAL_SECONDS:
                    raise NoPrediction(url, expected="an answer", found=refused.found) from None
                if refused.status not in NOT_YET or now > deadline:
                    todo = "Set PENSTOCK_API_KEY." if refused.status == 401 else f"See {logs}."
                    raise NoPrediction(url, expected="an answer", found=refused.found, todo=todo) from None
                time.sleep(0.1)
                continue
            took = (time.monotonic() - started) * 1e3
            body = msgspec.json.encode(request)
            return FirstPrediction(name, url, body, msgspec.json.encode(answer), took, keyed=bool(key))
