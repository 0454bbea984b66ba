"""A request may ask why: the answer says what each feature contributed, from the very rows that were looked up."""

import msgspec
import pytest

from penstock.artifact.explaining.explainer import ExplanationTimeout
from penstock.client import Client
from penstock.errors import PenstockError
from penstock.journal.explaining import explain_each
from penstock.journal.moved import moves
from penstock.journal.replay import Replay
from penstock.releases.artifacts import ArtifactStore
from penstock.serving.routes import explaining as routes
from tests.engine.serving import toy
from tests.engine.serving.conftest import Service, Start, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def explaining(service: Service) -> Service:
    """A service whose release explains."""
    service.release(2, explain=True)
    assert wait_for(lambda: service.serves() == 2)
    return service


def test_an_explained_answer_adds_up_to_its_score_and_is_the_answer(explaining: Service) -> None:
    answer = explaining.ask(explain=True).json()
    assert set(answer["contributions"]) == {"inflow", "room", "shape", "age"}
    assert answer["base_value"] + sum(answer["contributions"].values()) == pytest.approx(answer["raw_score"], abs=1e-9)
    assert answer["explained"] == "overflows"
    assert answer["explained_by"] == "exact"
    assert answer["raw_score"] == answer["probabilities"]["overflows"]
    plain = explaining.ask().json()
    assert plain["unchanged"], "asking why is no part of what is asked"
    assert "contributions" not in plain
    assert explaining.journal() == 1
    again = explaining.ask(explain=True).json()
    assert again == answer | {"unchanged": True}


def test_only_the_requests_of_an_array_that_ask_for_it_are_explained(explaining: Service) -> None:
    many = [
        {"tank": f"t{n}", "valve": n, "inflow": 3.0 * n} | ({"explain": True} if n % 3 == 0 else {}) for n in range(9)
    ]
    answers = explaining.http.post("/models/overflow/predict", json=many).json()
    assert ["contributions" in answer for answer in answers] == [n % 3 == 0 for n in range(9)]
    alone = explaining.http.post("/models/overflow/predict", json=many[3]).json()
    assert alone["contributions"] == answers[3]["contributions"]


def test_a_model_that_is_not_declared_so_refuses_in_words(service: Service) -> None:
    refused = service.ask(explain=True)
    assert refused.status_code == 422
    assert "$.explain: expected false, as release 1 of overflow does not explain: Model(explain=True)" in refused.text
    assert service.ask(explain=False).status_code == 200
    odd = service.ask(explain="yes")
    assert odd.status_code == 422
    assert "$.explain: expected a bool" in odd.text


def test_too_many_explanations_at_once_are_refused(explaining: Service) -> None:
    many = [{"tank": "t1", "valve": 1, "inflow": n, "explain": True} for n in range(101)]
    refused = explaining.http.post("/models/overflow/predict", json=many)
    assert refused.status_code == 422
    assert "at most 100 requests that are explained" in refused.text


def test_other_faults_are_named_as_ever(explaining: Service) -> None:
    refused = explaining.ask(explain=True, valve=1000, colour="red")
    assert refused.status_code == 422
    fields = {fault["field"] for fault in refused.json()["faults"]}
    assert fields == {"$.valve", "$.colour"}


def test_a_relaxed_journal_explains_too(explaining: Service, start: Start) -> None:
    relaxed = start(msgspec.structs.replace(toy.CONTRACT, journal="relaxed"))
    assert wait_for(lambda: relaxed.serves() == 2)
    assert relaxed.ask(explain=True).json()["contributions"]


def test_an_answer_of_an_earlier_release_is_explained_by_that_release(explaining: Service, start: Start) -> None:
    agreed = start(msgspec.structs.replace(toy.CONTRACT, unchanged="input"))
    assert wait_for(lambda: agreed.serves() == 2)
    first = agreed.ask(explain=True).json()
    agreed.release(3, explain=True)
    assert wait_for(lambda: agreed.serves() == 3)
    assert agreed.ask(explain=True).json() == first | {"unchanged": True}


def test_an_answer_of_a_release_that_could_not_say_has_no_contributions(service: Service, start: Start) -> None:
    agreed = start(msgspec.structs.replace(toy.CONTRACT, unchanged="input"))
    first = agreed.ask().json()
    agreed.release(2, explain=True)
    assert wait_for(lambda: agreed.serves() == 2)
    assert agreed.ask(explain=True).json() == first | {"unchanged": True, "contributions": None}
    missing = service.http.get(f"/models/overflow/predictions/{first['id']}/contributions")
    assert missing.status_code == 404
    assert "expected a release that explains, found release 1 without" in missing.text


def test_a_journaled_prediction_is_explained_by_its_id(explaining: Service) -> None:
    answer = explaining.ask(explain=True).json()
    toy.publish_tanks(explaining.book, height=9.0)  # what was looked up stays as it was
    found = explaining.http.get(f"/models/overflow/predictions/{answer['id']}/contributions").json()
    assert found == {name: answer[name] for name in found}
    assert found["contributions"]
    assert explaining.http.get("/models/overflow/predictions/no-id/contributions").status_code == 404


def test_a_release_that_cannot_be_explained_stops_no_other_and_is_named(service: Service) -> None:
    asked = [service.ask(inflow=1.5).json()["id"]]
    service.release(2, explain=True)
    assert wait_for(lambda: service.serves() == 2)
    asked.append(service.ask(inflow=2.5).json()["id"])
    replay = Replay(
        service.book, {"overflow": toy.CONTRACT}, ArtifactStore(service.settings.artifacts), service.folder / "cache"
    )
    found = {same[0].release: reasons for same, reasons in explain_each(replay, lambda _: toy.CONTRACT, asked)}
    assert str(found[1]).startswith("release 1 of overflow: artifact ")
    assert "Declare Model(explain=True)" in str(found[1])
    explained = found[2]
    assert not isinstance(explained, PenstockError)
    assert [reason.entry.id for reason in explained] == asked[1:]


def test_contributions_that_move_from_one_release_to_another_are_those_that_differ(explaining: Service) -> None:
    answers = explaining.ask_many(range(40))
    other = explaining.release(3, explain=True)
    store = ArtifactStore(explaining.settings.artifacts)
    replay = Replay(explaining.book, {"overflow": toy.CONTRACT}, store, explaining.folder / "cache")
    [entries] = replay.by_artifact(ids=[answer["id"] for answer in answers])
    assert replay.artifact_of("overflow", 3) == other
    first, second = replay.artifact(entries[0].artifact), replay.artifact(other)
    found = moves(toy.CONTRACT, first, second, entries)
    assert {move.feature for move in found} == {"inflow", "room", "shape", "age"}
    assert [move.mean for move in found] == sorted((move.mean for move in found), reverse=True)
    assert found[0].mean > 0
    assert max(move.largest for move in moves(toy.CONTRACT, first, first, entries)) == 0
    with pytest.raises(PenstockError, match="release 77 of overflow: expected one of the ledger"):
        replay.artifact_of("overflow", 77)


def test_an_explanation_that_takes_too_long_is_a_503_that_says_so(
    explaining: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(*_: object) -> None:
        raise ExplanationTimeout("contributions", expected="those to 1 predictions within 10 s", found="those to 0")

    plain = explaining.ask().json()
    monkeypatch.setattr(routes, "explain", late)
    found = explaining.http.get(f"/models/overflow/predictions/{plain['id']}/contributions")
    for refused in (explaining.ask(explain=True), found):
        assert refused.status_code == 503
        assert refused.json()["type"].endswith(":explanation-timeout")
        assert "expected those to 1 predictions within 10 s" in refused.json()["detail"]
    assert explaining.ask().json() == plain | {"unchanged": True}


def test_features_that_are_not_those_of_the_journal_are_not_explained(explaining: Service) -> None:
    id_ = explaining.ask().json()["id"]
    with explaining.book.connect() as connection:
        connection.execute("UPDATE app.prediction SET features = decode(repeat('00', 16), 'hex') WHERE id = %s", (id_,))
    refused = explaining.http.get(f"/models/overflow/predictions/{id_}/contributions")
    assert refused.status_code == 404
    assert "expected those that were journaled" in refused.text


def test_the_client_asks_for_it_and_the_document_tells_of_it(explaining: Service) -> None:
    with Client(str(explaining.http.base_url), "overflow") as client:
        answer = client.predict({"tank": "t7", "valve": 3, "inflow": 40.0}, explain=True)
        assert isinstance(answer.contributions, dict)
        assert len(answer.contributions) == 4
        assert client.predict({"tank": "t7", "valve": 3}).contributions is msgspec.UNSET
    document = explaining.http.get("/openapi.json").json()
    assert document["components"]["schemas"]["TankRequest"]["properties"]["explain"]["type"] == "boolean"
    assert "/models/overflow/predictions/{id}/contributions" in document["paths"]


def test_the_open_inference_protocol_refuses_it_in_words(explaining: Service) -> None:
    body = {"inputs": [], "parameters": {"explain": True}}
    refused = explaining.http.post("/v2/models/overflow/infer", json=body)
    assert refused.status_code == 422
    assert "parameters.explain: expected none, as only POST /models/overflow/predict answers" in refused.json()["error"]
