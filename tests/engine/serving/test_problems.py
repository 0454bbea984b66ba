"""What is wrong is said as a problem document that names the field."""

from typing import Any

import msgspec
import pytest

from tests.engine.serving import toy
from tests.engine.serving.conftest import Service, Start

ROUTE = "/models/overflow/predict"
GOOD = {"tank": "t7", "valve": 3, "asked_at": "2026-01-01T05:30:00Z"}


@pytest.mark.parametrize(
    ("change", "field", "expected", "found"),
    [
        ({"valve": "3"}, "$.valve", "int", "str"),
        ({"valve": 100}, "$.valve", "int <= 99", "100"),
        ({"tank": ""}, "$.tank", "str of length >= 1", '""'),
        ({"color": "red"}, "$.color", "no such field", '"red"'),
        ({"tank": None}, "$.tank", "str", "null"),
        (
            {"asked_at": "2026-01-01T05:30:00"},
            "$.asked_at",
            "datetime with a timezone component",
            '"2026-01-01T05:30:00"',
        ),
        ({"asked_at": "0001-01-01T00:00:00+14:00"}, "$.asked_at", "a year from 2 to 9998", "1"),
        ({"note": "a\0b"}, "$.note", "text without the character U+0000", "it"),
    ],
)
def test_a_field_that_cannot_be_accepted_is_named(
    shared: Service, change: dict[str, Any], field: str, expected: str, found: str
) -> None:
    answer = shared.http.post(ROUTE, json=GOOD | change)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["faults"] == [{"field": field, "expected": expected, "found": found}]
    many = shared.http.post(ROUTE, json=[GOOD, GOOD | change]).json()
    assert many["faults"][0]["field"] == field.replace("$", "$[1]")


@pytest.mark.parametrize(
    ("method", "path", "content", "headers", "status"),
    [
        ("POST", ROUTE, b"", {}, 400),
        ("POST", ROUTE, b"{", {}, 400),
        ("POST", ROUTE, b'{"tank": NaN}', {}, 400),
        ("POST", ROUTE, b'"\xff"', {}, 422),
        ("POST", ROUTE, b'{"tank": "\xff"}', {}, 400),
        ("POST", ROUTE, b"[" * 100_000, {}, 422),
        ("POST", ROUTE, b"[]", {}, 422),
        ("POST", ROUTE, b" " * (8 * 1024 * 1024 + 1), {}, 413),
        ("POST", ROUTE, b"{}", {"content-type": "text/plain"}, 415),
        ("POST", ROUTE, b"{}", {"content-encoding": "gzip"}, 415),
        ("GET", ROUTE, b"", {}, 405),
        ("DELETE", "/models", b"", {}, 405),
        ("GET", "/nowhere", b"", {}, 404),
        ("POST", "/models/other/predict", b"{}", {}, 404),
        ("GET", "/models/overflow/predictions/x", b"", {}, 404),
        ("GET", "/models/overflow/predictions/00000000-0000-7000-8000-000000000000", b"", {}, 404),
    ],
)
def test_a_bad_request_is_a_problem(
    shared: Service, method: str, path: str, content: bytes, headers: dict[str, str], status: int
) -> None:
    headers = {"content-type": "application/json", "x-request-id": "mine"} | headers
    answer = shared.http.request(method, path, content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "mine"
    assert answer.json()["status"] == status
    assert answer.json()["request_id"] == "mine"


def test_more_than_ten_thousand_requests_are_refused(shared: Service) -> None:
    answer = shared.http.post(ROUTE, json=[GOOD] * 10_001)
    assert answer.status_code == 422
    assert answer.json()["faults"][0]["expected"] == "array of length <= 10000"


def test_a_missing_row_is_null_or_rejects_as_the_lookup_declares(service: Service, start: Start) -> None:
    answer = service.ask(tank="t0").json()
    assert answer["missing"] == ["level"]
    lookups = tuple(msgspec.structs.replace(lookup, missing="reject") for lookup in toy.CONTRACT.lookups)
    strict = start(msgspec.structs.replace(toy.CONTRACT, lookups=lookups))
    strict.release(2)
    refused = strict.http.post(ROUTE, json=[GOOD, GOOD | {"tank": "nowhere"}])
    while refused.status_code == 503:
        refused = strict.http.post(ROUTE, json=[GOOD, GOOD | {"tank": "nowhere"}])
    assert refused.status_code == 422
    assert [fault["field"] for fault in refused.json()["faults"]] == ["$[1].tank", "$[1].tank"]
    assert refused.json()["faults"][0]["found"] == 'none for {"tank":"nowhere"}'


def test_a_key_is_demanded_where_keys_are_configured(start: Start, service: Service) -> None:
    file = service.folder / "keys"
    file.write_text("2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683 backend\n")  # of "key"
    locked = start(api_keys_file=str(file))
    assert locked.http.get("/models").status_code == 401
    assert locked.http.get("/models", headers={"x-api-key": "other"}).status_code == 401
    assert locked.http.get("/models", headers={"x-api-key": "key"}).status_code == 200
    assert locked.http.get("/models", headers={"authorization": "Bearer key"}).status_code == 200
    assert locked.http.get("/healthz").status_code == 200
