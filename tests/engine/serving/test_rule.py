"""The rule of unchanged questions, against a model of it: with tables in memory and in Postgres, over two replicas."""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from penstock.serving.tables import loading as cached_loading
from tests.engine.serving import toy
from tests.engine.serving.conftest import Service, Start, wait_for

ASKED_AT = "2026-01-01T05:30:00Z"


@pytest.fixture(params=["in memory", "in Postgres"])
def replicas(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, service: Service, start: Start
) -> list[Service]:
    """Two replicas over one book that look tables up in memory, or never."""
    if request.param == "in Postgres":
        monkeypatch.setattr(cached_loading, "MOST_ROWS", -1)
        made = [start(), start()]
        assert not any(one.app.models["overflow"].state.in_memory for one in made)  # type: ignore[union-attr]
        return made
    made = [service, start()]
    for one in made:
        one.wait_for_tables()
    return made


@dataclass
class Rule:
    """What the service should do: the newest answer about each entity, with what it was made from."""

    newest: dict[Any, tuple[Any, str]] = field(default_factory=dict)

    def check(self, question: dict[str, Any], made_from: Any, answer: dict[str, Any]) -> None:
        """Compare one answer with the rule, and go on from it."""
        entity = (question["tank"], question["valve"])
        before = self.newest.get(entity)
        if before is not None and before[0] == (question["inflow"], made_from):
            assert (answer["unchanged"], answer["id"]) == (True, before[1]), question
        else:
            assert not answer["unchanged"], question
            self.newest[entity] = (question["inflow"], made_from), answer["id"]


def test_any_sequence_of_questions_releases_and_publishes_follows_the_rule(replicas: list[Service]) -> None:
    rng = random.Random(11)
    book, rule = replicas[0].book, Rule()
    release, height, answered = 1, 5.0, 0
    for _ in range(60):
        step = rng.random()
        if step < 0.05:
            height = rng.choice([5.0, 6.0])
            toy.publish_tanks(book, height)
        elif step < 0.1:
            release = release % 3 + 1
            replicas[0].release(release)
            for one in replicas:
                wait_for(lambda one=one, wanted=release: one.serves() == wanted)
        many = [
            {
                "tank": f"t{rng.randrange(2)}",
                "valve": rng.randrange(3),
                "inflow": rng.randrange(2),
                "asked_at": ASKED_AT,
            }
            for _ in range(rng.choice([1, 1, 2, 7]))
        ]
        replica = rng.choice(replicas)
        answers = replica.http.post("/models/overflow/predict", json=many).json()
        for question, answer in zip(many, answers, strict=True):
            rule.check(question, (release, height), answer)
            answered += not answer["unchanged"]
    assert replicas[0].journal() == answered


def until_answered(replica: Service, question: dict[str, Any]) -> tuple[Any, list[Any]]:
    """The answer to a question, asked again where a busy machine makes Postgres too slow, and those refusals."""
    refusals = []
    while (answer := replica.ask(**question)).status_code != 200:
        refusals.append(answer.json())
        assert len(refusals) < 10, refusals
    return answer.json(), refusals


@pytest.mark.slow
def test_replicas_that_answer_at_once_give_what_some_order_of_the_questions_gives(replicas: list[Service]) -> None:
    rng = random.Random(7)
    questions = [
        (rng.choice(replicas), {"tank": f"t{rng.randint(1, 3)}", "valve": 3, "inflow": rng.randint(0, 2)})
        for _ in range(400)
    ]
    with ThreadPoolExecutor(16) as pool:
        asked = list(pool.map(lambda question: until_answered(question[0], question[1]), questions))
    answers = [answer for answer, _ in asked]
    refusals = [refusal for _, refused in asked for refusal in refused]
    assert {refusal["type"] for refusal in refusals} <= {"urn:penstock:problem:book-away"}, refusals
    assert len(refusals) <= 16, "at most one moment in which Postgres takes longer than a request may wait"
    with replicas[0].book.connect() as connection:
        stored = connection.execute(
            "SELECT id::text, request->>'tank', (request->>'inflow')::float FROM app.journal ORDER BY id"
        ).fetchall()
        latest = connection.execute("SELECT id::text, replaced::text FROM app.latest_answer").fetchall()
    made = [answer["id"] for answer in answers if not answer["unchanged"]]
    assert len(set(made)) == len(made)
    assert len(stored) - len(made) <= len(refusals), "journaled is what was answered as new, or not known to be written"
    by_id = {row[0]: row[1:] for row in stored}
    for (_, fields), answer in zip(questions, answers, strict=True):
        assert by_id[answer["id"]] == (fields["tank"], fields["inflow"]), "an answer is about its question"
    assert set(made) <= set(by_id)
    assert {row[0] for row in latest} <= set(by_id)
    assert {row[1] for row in latest} <= {None, *by_id}


@pytest.mark.slow
def test_policy_input_holds_across_replicas_and_publishes(
    start: Start, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreed = [start(msgspec.structs.replace(toy.CONTRACT, unchanged="input")) for _ in range(2)]
    for one in agreed:
        one.wait_for_tables()
    first = agreed[0].ask().json()
    toy.publish_tanks(service.book, height=9.0)
    for one in (agreed[1], agreed[0], agreed[1]):
        assert one.ask().json() == first | {"unchanged": True}
    assert service.journal() == 1
