"""Old clients: a field that the contract retired is ignored, any other that there is not is refused."""

import msgspec
import pytest

from penstock.contract.contract import Contract
from penstock.errors import ContractError
from penstock.postgres.book import Book
from tests.engine.serving import toy
from tests.engine.serving.conftest import Service, Start, wait_for

OLD = {"tank": "t7", "valve": 3, "inflow": 40.0, "asked_at": "2026-01-01T05:30:00Z", "colour": ["any", {"value": 1}]}
CONTRACT: Contract = msgspec.structs.replace(toy.CONTRACT, retired=("colour",))


@pytest.fixture
def service(start: Start, book: Book) -> Service:
    made = start(CONTRACT)
    toy.publish_all(book)
    made.release(1, contract=toy.CONTRACT)  # what is retired is no part of the digest
    wait_for(lambda: made.ask().status_code == 200)
    return made


def test_a_retired_field_is_ignored_and_another_unknown_one_refused_beside_it(service: Service) -> None:
    new = service.ask()
    old = service.http.post("/models/overflow/predict", json=OLD)
    assert (old.status_code, old.json()["prediction"]) == (200, new.json()["prediction"])
    assert old.json()["unchanged"], "the same question as without the field"
    assert [one["id"] for one in service.http.post("/models/overflow/predict", json=[OLD]).json()] == [old.json()["id"]]
    refused = service.http.post("/models/overflow/predict", json=[OLD, OLD | {"color": 1, "valve": "x"}])
    assert refused.status_code == 422
    assert sorted(fault["field"] for fault in refused.json()["faults"]) == ["$[1].color", "$[1].valve"]


def test_the_open_inference_protocol_ignores_it_too_and_openapi_says_that_it_is_deprecated(service: Service) -> None:
    def tensor(name: str, datatype: str, value: object) -> dict[str, object]:
        return {"name": name, "datatype": datatype, "shape": [1], "data": [value]}

    inputs = [tensor("colour", "FP16", 7), tensor("tank", "BYTES", "t7"), tensor("valve", "INT64", 3)]
    answer = service.http.post("/v2/models/overflow/infer", json={"inputs": inputs})
    assert answer.status_code == 200, answer.text
    assert (
        service.http.post("/v2/models/overflow/infer", json={"inputs": [*inputs, tensor("color", "FP16", 7)]})
        .json()["error"]
        .startswith("tensor 'color': expected")
    )
    schema = service.http.get("/openapi.json").json()["components"]["schemas"]["TankRequest"]
    assert schema["properties"]["colour"]["deprecated"] is True
    assert schema["additionalProperties"] is False


def test_what_is_asked_cannot_be_retired() -> None:
    with pytest.raises(ContractError, match=r"retired of model 'overflow'.*'valve'.*Take them out of TankRequest"):
        msgspec.structs.replace(toy.CONTRACT, retired=("valve", "gone"))
    assert CONTRACT.digest() == toy.CONTRACT.digest()
