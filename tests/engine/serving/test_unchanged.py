"""An unchanged question gets its stored answer, alone, in a batch, and across replicas."""

import msgspec

from tests.engine.serving import toy
from tests.engine.serving.conftest import Service, Start, wait_for


def test_the_same_question_again_gets_the_stored_answer(service: Service) -> None:
    first, second = service.ask().json(), service.ask().json()
    assert not first["unchanged"]
    assert second == first | {"unchanged": True}
    assert service.journal() == 1


def test_a_question_without_asked_at_is_unchanged_while_its_rows_are(service: Service) -> None:
    first, second = service.ask(asked_at=None).json(), service.ask(asked_at=None).json()
    assert second == first | {"unchanged": True}


def test_another_input_release_or_row_is_predicted_again(service: Service) -> None:
    first = service.ask().json()
    assert not service.ask(inflow=41.0).json()["unchanged"]
    third = service.ask().json()
    assert not third["unchanged"]
    assert third["id"] != first["id"]
    toy.publish_tanks(service.book, height=9.0)
    fourth = service.ask().json()
    assert not fourth["unchanged"]
    assert fourth["snapshots"]["tanks"] != first["snapshots"]["tanks"]
    service.release(2)
    assert wait_for(lambda: service.ask().json()["release"] == 2)


def test_policy_input_gives_the_stored_answer_whatever_else_changed(start: Start, service: Service) -> None:
    agreed = start(msgspec.structs.replace(toy.CONTRACT, unchanged="input"))
    first = agreed.ask().json()
    toy.publish_tanks(service.book, height=9.0)
    assert agreed.ask().json() == first | {"unchanged": True}


def test_repeats_inside_one_array_are_predicted_once(service: Service) -> None:
    one = {"tank": "t7", "valve": 3, "inflow": 40.0, "asked_at": "2026-01-01T05:30:00Z"}
    other = one | {"inflow": 50.0}
    answers = service.http.post("/models/overflow/predict", json=[one, one, other, one, other]).json()
    assert [answer["unchanged"] for answer in answers] == [False, True, False, False, False]
    assert answers[0]["id"] == answers[1]["id"]
    assert len({answer["id"] for answer in answers}) == 4
    assert service.journal() == 4
    assert service.ask(inflow=50.0).json()["id"] == answers[4]["id"]
