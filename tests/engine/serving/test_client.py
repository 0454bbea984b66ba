"""The typed client against the real application, and against one that fails first."""

import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

from penstock.client import Client, ServiceError
from penstock.errors import PenstockError
from penstock.processes import free_port
from tests.engine.serving import toy
from tests.engine.serving.conftest import Service, Start

ASKED = toy.TankRequest(tank="t9", valve=4, inflow=3.5, asked_at=datetime(2026, 1, 1, 5, 30, tzinfo=UTC))


@pytest.fixture
def client(shared: Service) -> Iterator[Client]:
    with Client(str(shared.http.base_url), "overflow") as made:
        yield made


def test_a_prediction_comes_back_typed_and_is_found_in_the_journal(client: Client) -> None:
    answer = client.predict(ASKED)
    assert answer.prediction in {"holds", "overflows"}
    assert isinstance(answer.probabilities, dict)
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert (answer.release, answer.missing) == (1, ())
    assert client.predict(ASKED).unchanged
    journaled = client.prediction(answer.id)
    assert journaled.answer == answer
    assert journaled.asked_at == ASKED.asked_at
    assert journaled.request["tank"] == "t9"
    assert client.ready()


def test_many_are_answered_in_order(client: Client) -> None:
    answers = client.predict_many({"tank": f"t{n}", "valve": n} for n in range(20))
    assert answers[0].missing == ("level",)
    assert len({answer.id for answer in answers}) == 20


def test_scalars_of_numpy_and_pandas_are_taken(client: Client) -> None:
    at = pd.Timestamp("2026-01-01T05:30:00.000000999Z")
    plain = client.predict(
        {"tank": "t9", "valve": 5, "inflow": 3.5, "note": None, "asked_at": at.to_pydatetime(warn=False)}
    )
    same = {"tank": np.str_("t9"), "valve": np.int8(5), "inflow": np.float32(3.5), "note": pd.NA, "asked_at": at}
    assert client.predict(same).id == plain.id
    frame = pd.DataFrame({"tank": ["t9", "t9"], "valve": [5, 5], "inflow": [3.5, 3.5], "asked_at": [at, at]})
    assert [one.id for one in client.predict_many(frame.to_dict("records"))] == [plain.id, plain.id]
    for nothing, seen in ((pd.NaT, "2026-01-01"), (np.datetime64("NaT"), "2026-01-02T03:04:05.123456789")):
        client.predict({"tank": "t9", "valve": np.int64(5), "seen": nothing, "asked_at": at})
        answer = client.predict({"tank": "t9", "valve": 6, "seen": np.datetime64(seen, "ns"), "asked_at": at})
        assert str(client.prediction(answer.id).request["seen"]).startswith(seen[:26])
    with pytest.raises(TypeError, match="a request holds ndarray"):
        client.predict({"tank": np.array(["t9", "t8"])})


@pytest.mark.parametrize(
    "infinite", [float("inf"), np.float32("-inf"), np.float64("inf"), Decimal("Infinity"), Decimal("NaN")]
)
def test_an_infinity_is_refused_and_no_missing_value(client: Client, infinite: Any) -> None:
    asked = {"tank": "t9", "valve": 5, "inflow": infinite}
    with pytest.raises(PenstockError, match=r"request: expected finite numbers, .*, found inflow: "):
        client.predict(asked)
    with pytest.raises(PenstockError, match="row 1 of the requests: expected finite numbers"):
        client.predict_many([asked | {"inflow": None}, asked])


def test_a_decimal_is_a_number(client: Client) -> None:
    plain = client.predict({"tank": "t9", "valve": 7, "inflow": 3.25, "asked_at": "2026-01-01T00:00:00Z"})
    same = {"tank": "t9", "valve": Decimal(7), "inflow": Decimal("3.250"), "asked_at": "2026-01-01T00:00:00Z"}
    assert client.predict(same).id == plain.id


def test_a_refusal_is_not_tried_again_and_names_the_field(client: Client) -> None:
    with pytest.raises(ServiceError, match=r"422 \$\.valve: expected a whole number from 0 to 99, found 100") as caught:
        client.predict({"tank": "t9", "valve": 100})
    assert caught.value.status == 422
    assert caught.value.document["faults"][0]["field"] == "$.valve"


def test_a_key_is_sent(start: Start, service: Service) -> None:
    file = service.folder / "keys"
    file.write_text("2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683\n")  # of "key"
    url = str(start(api_keys_file=str(file)).http.base_url)
    assert Client(url, "overflow", key="key").predict(ASKED).id
    with pytest.raises(ServiceError, match="401"):
        Client(url, "overflow", key="other").predict(ASKED)


def test_an_unusable_url_is_refused() -> None:
    with pytest.raises(PenstockError, match="host"):
        Client("localhost:8000", "overflow")


def test_lost_connections_and_503_or_429_are_tried_again(client: Client) -> None:
    answer = client.predict(ASKED)
    with failing_first(["hang up", 503, 429, 200]) as (url, asked):
        assert Client(url, "overflow").predict(ASKED).id == ""
        assert asked() == 4
    assert answer.id


def test_without_repeat_everything_is_asked_once() -> None:
    with failing_first([503, 200]) as (url, asked), pytest.raises(ServiceError, match="503 away"):
        Client(url, "overflow", repeat=False).predict(ASKED)
    assert asked() == 1
    began = time.monotonic()
    with pytest.raises(ServiceError, match="refused") as caught:
        Client(f"http://127.0.0.1:{free_port()}", "overflow", repeat=False).predict(ASKED)
    assert caught.value.status == 0
    assert time.monotonic() - began < 4


def test_json_is_sent_as_it_is(client: Client) -> None:
    asked = msgspec.Raw(b'{"tank":"t9", "valve":4, "inflow":35e-1, "asked_at":"2026-01-01T05:30:00Z"}')
    assert client.predict(asked).prediction == client.predict(ASKED).prediction
    assert client.predict_many([asked])[0].prediction == client.predict(ASKED).prediction


@pytest.mark.parametrize("answer", [b'{"detail":"away"}', b"<html>", b"\xff"])
def test_an_answer_of_another_shape_is_an_error_of_the_service(answer: bytes) -> None:
    with (
        failing_first([200], answer) as (url, _),
        pytest.raises(ServiceError, match="an answer of another shape") as caught,
    ):
        Client(url, "overflow").predict(ASKED)
    assert caught.value.status == 200


def test_a_refusal_that_is_no_problem_document_shows_its_beginning() -> None:
    with failing_first([400], b"<html>of a proxy " + b"x" * 1000) as (url, _), pytest.raises(ServiceError) as caught:
        Client(url, "overflow").predict(ASKED)
    assert caught.value.found.startswith("400 <html>of a proxy xxx")
    assert len(caught.value.found) < 250


@pytest.mark.slow
def test_patience_ends_with_the_timeout() -> None:
    began = time.monotonic()
    with failing_first([503] * 100) as (url, asked), pytest.raises(ServiceError, match="503") as caught:
        Client(url, "overflow", timeout=0.5).predict(ASKED)
    assert caught.value.status == 503
    assert asked() > 1
    with pytest.raises(ServiceError) as caught:
        Client(f"http://127.0.0.1:{free_port()}", "overflow", timeout=0.3).predict(ASKED)
    assert caught.value.status == 0
    with failing_first(["sleep"]) as (url, _), pytest.raises(ServiceError, match="timed out"):
        Client(url, "overflow", timeout=0.3).predict(ASKED)
    assert time.monotonic() - began < 5


@contextmanager
def failing_first(script: list[object], answer: bytes = b"") -> Iterator[tuple[str, object]]:
    """A server that goes through a script of failures; gives its URL and how often it was asked."""
    asked: list[object] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            step = script[min(len(asked), len(script) - 1)]
            asked.append(step)
            if step == "sleep":
                time.sleep(0.4)
            if not isinstance(step, int):
                return
            body = b'{"detail":"away"}'
            if step == 200:
                body = b'{"id":"","prediction":1.0,"release":1,"snapshots":{},"missing":[],"unchanged":false}'
            body = answer or body
            self.send_response(step)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", lambda: len(asked)
        server.shutdown()
