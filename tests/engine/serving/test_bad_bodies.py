"""Bodies that nobody should send: clear refusals, no failure, and a service that is well afterwards."""

import json
import socket

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.serving.conftest import Service

ROUTES = ("/models/overflow/predict", "/v2/models/overflow/infer")
GOOD = b'{"tank":"t7","valve":3,"inflow":%s,"asked_at":"2026-01-01T05:30:00Z"}'
JSON = {"content-type": "application/json"}

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["inputs", "tank", "t7"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["tank", "valve", "inflow", "inputs", "name", "shape", "data"]), inner, max_size=5
        )
    ),
    max_leaves=20,
)


@pytest.mark.slow
@pytest.mark.parametrize("route", ROUTES)
@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=st.binary(max_size=200) | anything.map(lambda value: json.dumps(value).encode()))
def test_a_random_body_is_refused_and_not_a_failure(shared: Service, route: str, body: bytes) -> None:
    answer = shared.http.post(route, content=body, headers=JSON)
    assert answer.status_code in {200, 400, 422}, (body, answer.text)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 1_000_000,
        b'{"tank":' * 200_000,
        b'[{"tank":' + b"[" * 100_000 + b"]" * 100_000 + b"}]",
        GOOD % b"NaN",
        GOOD % b"Infinity",
        GOOD % b"1e999",
        GOOD % (b"9" * 400),
        GOOD % (b"9" * 1_000_000),
        b"\xef\xbb\xbf" + GOOD % b"1",
        (GOOD % b"1").decode().encode("utf-16"),
        (GOOD % b"1").replace(b"t7", b"\xe9"),
        (GOOD % b"1").replace(b"t7", b"\\ud800"),
        (GOOD % b"1").replace(b"t7", b"\\u0000"),
        (GOOD % b"1").replace(b'"valve":3', b'"valve":3.5'),
        (GOOD % b"1") * 2,
        b"\0",
        b'{"inputs":[' + b",".join([b'{"name":"tank","datatype":"BYTES","shape":[1],"data":["t1"]}'] * 9_000) + b"]}",
        b'{"inputs":[{"name":"tank","datatype":"BYTES","shape":[1],"data":' + b"[" * 900 + b"]" * 900 + b"}]}",
    ],
    ids=lambda body: body[:40],
)
def test_a_hostile_body_is_refused(shared: Service, route: str, body: bytes) -> None:
    answer = shared.http.post(route, content=body, headers=JSON)
    assert answer.status_code in {400, 422}, answer.text
    assert len(answer.content) < 2_000
    assert answer.headers["content-type"] == ("application/json" if "v2" in route else "application/problem+json")


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ((GOOD % b"NaN").replace(b'"valve":3', b'"valve":"three"'), "found: JSON is malformed: invalid character"),
        ((GOOD % b"1").replace(b"t7", b"").replace(b"}", b",}"), "found: JSON is malformed: trailing comma"),
        (b'[{"tank":3},', "found: Input data was truncated"),
        (b'{"tank":' * 200_000, "found too deep nesting"),
    ],
    ids=["a number that JSON lacks", "a comma too many", "an end too early", "depth"],
)
def test_what_is_no_json_is_said_to_be_none_whatever_its_fields_are(
    shared: Service, route: str, body: bytes, said: str
) -> None:
    wrapped = body if "v2" not in route else b'{"inputs":3,"parameters":' + body
    answer = shared.http.post(route, content=wrapped, headers=JSON)
    assert answer.status_code == 400
    assert "body: expected JSON, " in answer.text
    assert said in answer.text or "v2" in route


def test_of_a_field_given_twice_the_last_counts(shared: Service) -> None:
    body = (GOOD % b"5").replace(b"{", b'{"inflow":9999,', 1)
    assert shared.http.post(ROUTES[0], content=body, headers=JSON).status_code == 422
    assert shared.http.post(ROUTES[0], content=body.replace(b"9999", b"4"), headers=JSON).status_code == 200


def test_a_body_that_comes_byte_by_byte_is_answered_once_it_is_whole(shared: Service) -> None:
    url = httpx.URL(shared.http.base_url)
    body = GOOD % b"7"
    head = b"POST /models/overflow/predict HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
    with socket.create_connection((url.host, url.port or 80), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in head % len(body) + body:
            connection.sendall(bytes([byte]))
            assert shared.http.get("/healthz").status_code == 200
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("route", ROUTES)
def test_a_body_that_does_not_come_to_its_end_is_not_waited_for(
    shared: Service, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.serving.http.exchange.BODY_SECONDS", 0.3)
    url = httpx.URL(shared.http.base_url)
    with socket.create_connection((url.host, url.port or 80), timeout=10) as connection:
        connection.sendall(b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: 900\r\n\r\n{" % route.encode())
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"body: expected the whole body within 0.3 s, found 1 bytes." in answer
