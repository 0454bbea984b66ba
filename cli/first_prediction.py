"""The first prediction over HTTP: a real coming request, its answer, and the curl that asks it again."""

import shlex
import time
import urllib.error
import urllib.request
from dataclasses import dataclass

import msgspec

from model_tools.errors import PenstockError
from resources.coming_requests import coming
from resources.model import Model
from resources.settings import Settings

WAIT_SECONDS = 60.0
HEADERS = {"Content-Type": "application/json"}


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


def is_ready(settings: Settings) -> bool:
    """Whether the service says that it can answer."""
    try:
        with urllib.request.urlopen(f"{_root(settings)}/readyz", timeout=2) as response:  # noqa: S310
            return bool(response.status == 200)
    except OSError:
        return False


def ask(settings: Settings, model: Model, key: str = "") -> FirstPrediction:
    """Ask for the first coming request, waiting a bounded time while the service takes up its first release.

    `key` is the API key where the service demands one.
    """
    requests = coming(settings, model, 1)
    if not requests:
        raise NoPrediction(
            f"model {model.contract.model!r}",
            expected="a coming request in the warehouse",
            found="none",
            todo="Look at its requests query.",
        )
    url = f"{_root(settings)}/models/{model.contract.model}/predict"
    body = msgspec.json.encode(requests[0])
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        started = time.monotonic()
        status, answer = _post(url, body, key)
        if status == 200:
            took = (time.monotonic() - started) * 1e3
            return FirstPrediction(model.contract.model, url, body, answer, took, keyed=bool(key))
        if status not in {0, 404, 500, 502, 503, 504} or time.monotonic() > deadline:
            found = f"status {status}: {answer.decode(errors='replace')[:500]}"
            todo = "Set PENSTOCK_API_KEY." if status == 401 else f"See {settings.home / 'logs'}."
            raise NoPrediction(url, expected="status 200", found=found, todo=todo)
        time.sleep(0.1)


def _root(settings: Settings) -> str:
    return f"http://{settings.http_host}:{settings.http_port}"


def _post(url: str, body: bytes, key: str) -> tuple[int, bytes]:
    headers = HEADERS | ({"X-API-Key": key} if key else {})
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as response:  # noqa: S310
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError as error:
        return 0, str(error).encode()
