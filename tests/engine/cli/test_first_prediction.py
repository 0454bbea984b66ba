import json
import shlex
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from penstock.cli.system import first_prediction
from penstock.cli.system.first_prediction import NoPrediction, ask, is_ready
from penstock.settings import Settings

NAME = "flight_delay"
REQUEST = {"name": "O'Hare"}
ANSWER = {"id": "a", "prediction": 1.5, "release": 1, "snapshots": {}, "missing": [], "unchanged": False}


class Service(BaseHTTPRequestHandler):
    """Answers as told, in order; what is last is said again."""

    statuses: list[int]
    answer: bytes
    seen: list[Any]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, json.loads(body), self.headers["X-API-Key"]))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[Settings, type[Service]]]:
    class Told(Service):
        statuses, answer, seen = [200], json.dumps(ANSWER).encode(), []

    server = HTTPServer(("127.0.0.1", 0), Told)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield Settings(home=tmp_path, http_port=server.server_port), Told
    server.shutdown()
    server.server_close()


def test_the_answer_comes_with_a_curl_that_asks_the_same(service: tuple[Settings, type[Service]]) -> None:
    settings, told = service
    first = ask(settings.service_url, NAME, REQUEST, settings.home / "logs")
    assert told.seen == [(f"/models/{NAME}/predict", REQUEST, None)]
    assert json.loads(first.answer) == ANSWER
    assert json.loads(shlex.split(first.curl)[-1]) == REQUEST


def test_a_service_that_is_not_ready_yet_is_asked_again(service: tuple[Settings, type[Service]]) -> None:
    settings, told = service
    told.statuses = [503, 503, 200]
    ask(settings.service_url, NAME, REQUEST, settings.home / "logs")
    assert len(told.seen) == 3


@pytest.mark.parametrize("slug", ["release-refused", "broken-file"])
def test_what_waiting_does_not_end_is_said_soon(
    service: tuple[Settings, type[Service]], slug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_prediction, "FINAL_SECONDS", 0.3)
    settings, told = service
    told.statuses = [503]
    told.answer = json.dumps(
        {"type": f"urn:penstock:problem:{slug}", "detail": "release 3 cannot be served: `penstock deploy`"}
    ).encode()
    began = time.monotonic()
    with pytest.raises(NoPrediction, match="release 3 cannot be served: `penstock deploy`"):
        ask(settings.service_url, NAME, REQUEST, settings.home / "logs")
    assert time.monotonic() - began < first_prediction.WAIT_SECONDS / 10


def test_a_key_is_sent_but_not_printed(service: tuple[Settings, type[Service]]) -> None:
    settings, told = service
    first = ask(settings.service_url, NAME, REQUEST, settings.home, "secret")
    assert told.seen[0][2] == "secret"
    assert "secret" not in first.curl
    assert "$PENSTOCK_API_KEY" in first.curl


@pytest.mark.parametrize(("status", "todo"), [(401, "Set PENSTOCK_API_KEY"), (422, "logs")])
def test_a_refused_request_is_an_error_that_says_what_to_do(
    service: tuple[Settings, type[Service]], status: int, todo: str
) -> None:
    settings, told = service
    told.statuses = [status]
    with pytest.raises(NoPrediction, match=f"expected an answer, found {status}.*{todo}"):
        ask(settings.service_url, NAME, REQUEST, settings.home / "logs")


def test_what_is_no_prediction_service_is_not_asked_again(service: tuple[Settings, type[Service]]) -> None:
    settings, told = service
    told.answer = b"<html>"
    with pytest.raises(NoPrediction, match=r"found an answer of another shape.*logs"):
        ask(settings.service_url, NAME, REQUEST, settings.home / "logs")
    assert len(told.seen) == 1


def test_where_nothing_listens_nothing_is_ready() -> None:
    assert not is_ready("http://127.0.0.1:9", None)
