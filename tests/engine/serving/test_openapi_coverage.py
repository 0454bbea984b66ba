"""Schemathesis' coverage phase: every boundary of every field of the OpenAPI document, each tried on purpose."""

import json
import re
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest

from penstock.contract.contract import Output
from penstock.contract.plain import plain_contract
from penstock.releases.artifacts import ArtifactStore
from penstock.serving.answering.faults import MOST_REQUESTS
from penstock.serving.http.exchange import LARGEST_BODY
from penstock.serving.routes.field_schema import ANY_TIME, DATE, LOCAL_TIME, ZONED_TIME
from penstock.serving.routes.openapi import openapi
from penstock.testing import wait_for
from tests.engine.serving import kinds, toy
from tests.engine.serving.conftest import Service, Start

# A document of JSON Schema cannot say that an id names no prediction.
CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = [200, 404]
"""


def violations(service: Service, folder: Path) -> str:
    """What the examples and coverage phases find, empty if nothing."""
    (folder / "schemathesis.toml").write_text(CONFIG)
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(folder / "schemathesis.toml")]
    command += ["run", f"{service.http.base_url}/openapi.json", "--phases=examples,coverage", "--continue-on-failure"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=folder, check=False)
    assert "Coverage" in done.stdout, done.stderr
    return done.stdout if done.returncode else ""


@pytest.mark.slow
def test_every_boundary_of_the_document_is_kept(shared: Service, tmp_path: Path) -> None:
    assert violations(shared, tmp_path) == ""


class Wide(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    account: int
    note: Annotated[str, msgspec.Meta(max_length=200)]
    grade: Literal["a", "bb"] = "a"
    rate: float | None = None
    asked_at: datetime | None = None


class Unbounded(Wide, forbid_unknown_fields=True, kw_only=True):
    free: str


class Narrow(msgspec.Struct, forbid_unknown_fields=True):
    account: int
    asked_at: datetime | None = None


def most_items(request: type[msgspec.Struct]) -> int:
    """How many requests the document lets an array have."""
    contract = plain_contract("m", request, entity=("account",), compute=lambda _: {}, output=Output("y", "regressor"))
    content = msgspec.json.decode(openapi([contract]))["paths"]["/models/m/predict"]["post"]["requestBody"]["content"]
    (most,) = [one["maxItems"] for one in content["application/json"]["schema"]["oneOf"] if "maxItems" in one]
    return int(most)


def test_an_array_of_the_widest_requests_is_no_larger_than_a_body_may_be() -> None:
    widest = {"account": -(2**63), "note": "\U0001f600" * 200, "grade": "bb", "rate": -1.7976931348623157e308}
    widest |= {"asked_at": "2026-11-26T12:00:00.123456+00:00"}
    most = most_items(Wide)
    assert LARGEST_BODY * 0.95 < len(json.dumps([widest] * most)) <= LARGEST_BODY
    assert (most_items(Narrow), most_items(Unbounded)) == (MOST_REQUESTS, MOST_REQUESTS)


def serve_kinds(start: Start, folder: Path) -> Service:
    """A service of the contract with a field of each type."""
    service = start(kinds.CONTRACT)
    service.release(1, digest=ArtifactStore(service.settings.artifacts).put(kinds.packed(folder)))
    wait_for(lambda: service.serves() == 1)
    return service


@pytest.mark.slow
def test_every_boundary_of_every_type_of_field_is_kept(start: Start, tmp_path: Path) -> None:
    service = serve_kinds(start, tmp_path)
    assert service.http.post("/models/kinds/predict", json=kinds.GOOD).status_code == 200
    assert violations(service, tmp_path) == ""


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        (DATE, {"2024-02-29": 1, "2023-02-29": 0, "2000-02-29": 1, "1900-02-29": 0, "0000-02-29": 0, "0001-01-01": 0}),
        (DATE, {"0002-01-01": 1, "9998-12-31": 1, "9999-01-01": 0, "2026-04-31": 0, "2026-13-01": 0}),
        (LOCAL_TIME, {"2026-01-01T23:59:59.123456": 1, "2026-01-01T24:00:00": 0, "0000-00-00T00:00:00": 0}),
        (ZONED_TIME, {"2026-01-01T00:00:00Z": 1, "2026-01-01T00:00:00+23:59": 1, "2026-01-01T00:00:00": 0}),
        (ANY_TIME, {"2026-01-01T00:00:00": 1, "2026-01-01T00:00:00-24:00": 0, "2026-01-01T00:00:60Z": 0}),
    ],
)
def test_the_documented_times_are_those_that_are_accepted(pattern: str, texts: dict[str, int]) -> None:
    kind = date if pattern == DATE else datetime
    assert {text: int(bool(re.search(pattern, text))) for text in texts} == texts
    accepted = [msgspec.convert(text, kind) for text, there in texts.items() if there]
    assert len(accepted) == sum(texts.values())


def test_two_requests_of_one_name_are_both_described() -> None:
    other = msgspec.defstruct("TankRequest", [("a", int), ("asked_at", datetime)], forbid_unknown_fields=True)
    contract = msgspec.structs.replace(kinds.CONTRACT, request=other, entity=("a",))
    document = msgspec.json.decode(openapi([toy.CONTRACT, contract]))
    bodies = [
        document["paths"][f"/models/{model}/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        for model in ("overflow", "kinds")
    ]
    names = {body["oneOf"][0]["$ref"].rpartition("/")[2] for body in bodies}
    assert len(names) == 2
    assert names <= set(document["components"]["schemas"])
