"""What is wrong is said as a problem document that names the field."""

from typing import Any

import msgspec
import pytest

from penstock.contract.field_words import LOCAL, ZONED
from tests.engine.serving import toy
from tests.engine.serving.conftest import Service, Start

ROUTE = "/models/overflow/predict"
VALVE, TANK = "a whole number from 0 to 99", "text of 1 to 12 characters"
GOOD = {"tank": "t7", "valve": 3, "asked_at": "2026-01-01T05:30:00Z"}


@pytest.mark.parametrize(
    ("change", "field", "expected", "found"),
    [
        ({"valve": "3"}, "$.valve", VALVE, '"3"'),
        ({"valve": 100}, "$.valve", VALVE, "100"),
        ({"tank": ""}, "$.tank", TANK, '""'),
        ({"color": "red"}, "$.color", "no such field", '"red"'),
        ({"tank": None}, "$.tank", TANK, "null"),
        ({"asked_at": "2026-01-01T05:30:00"}, "$.asked_at", f"{ZONED}, or null", '"2026-01-01T05:30:00"'),
        ({"asked_at": "yesterday"}, "$.asked_at", f"{ZONED}, or null", '"yesterday"'),
        ({"seen": "2026-02-30T00:00:00"}, "$.seen", f"{LOCAL}, or null", '"2026-02-30T00:00:00"'),
        (
            {"asked_at": "0001-01-01T00:00:00+14:00"},
            "$.asked_at",
            "a year from 2 to 9998",
            '"0001-01-01T00:00:00+14:00"',
        ),
        ({"note": "a\0b"}, "$.note", "text without the character U+0000", r'"a\u0000b"'),
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
        ("POST", ROUTE, b"[" * 100_000, {}, 400),
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
    [fault] = answer.json()["faults"]
    assert fault == {"field": "$", "expected": "an array of 1 to 10000 requests", "found": "10001"}


def test_all_that_is_wrong_is_said_at_once(shared: Service) -> None:
    wrong = {"tank": "", "valve": "3", "inflow": 2000, "note": "a\0b", "seen": "now", "color": "red"}
    faults = shared.http.post(ROUTE, json=wrong).json()["faults"]
    assert {fault["field"] for fault in faults} == {f"$.{name}" for name in wrong}
    several = shared.http.post(ROUTE, json=[GOOD, wrong, 3, {}]).json()
    fields = [fault["field"] for fault in several["faults"]]
    assert len(fields) == len(faults) + 3
    assert fields[-3:] == ["$[2]", "$[3].tank", "$[3].valve"]
    assert several["faults"][-3] == {"field": "$[2]", "expected": "an object", "found": "3"}
    assert all(str(field) in several["detail"] for field in fields[:3])


def test_values_beyond_a_database_column_are_all_named(shared: Service) -> None:
    late = {"asked_at": "0001-01-01T00:00:00Z", "note": "a\0"}
    faults = shared.http.post(ROUTE, json=[GOOD | late, GOOD, GOOD | late]).json()["faults"]
    assert sorted(fault["field"] for fault in faults) == ["$[0].asked_at", "$[0].note", "$[2].asked_at", "$[2].note"]


def test_of_very_many_faults_a_thousand_are_listed(shared: Service) -> None:
    answer = shared.http.post(ROUTE, json=[GOOD | {"valve": 100}] * 3000).json()
    assert len(answer["faults"]) == 1000
    assert answer["detail"].endswith("; and more than 990 more")


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
