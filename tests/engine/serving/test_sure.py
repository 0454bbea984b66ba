"""A model that says how sure it is answers the classes that may be; the journal keeps them, replay makes them again."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from penstock.artifact.conformal import Conformal
from penstock.client import Client
from penstock.journal.answers import PredictionEncoder, PredictionForm
from penstock.journal.replay import Replay
from penstock.releases.artifacts import ArtifactStore
from tests.engine.serving import toy
from tests.engine.serving.conftest import Service, wait_for

SURE = Conformal(0.9, 0.6, 99)


@pytest.fixture
def sure(service: Service) -> Service:
    """A service whose release answers sets that leave out classes of a probability below 0.4."""
    service.release(2, conformal=SURE)
    assert wait_for(lambda: service.serves() == 2)
    return service


def test_an_answer_holds_each_class_that_is_probable_enough(sure: Service) -> None:
    answers = sure.ask_many(range(300))
    found = {tuple(answer["prediction_set"]) for answer in answers}
    assert {("holds",), ("overflows",), ("holds", "overflows")} <= found
    wrong = [
        answer
        for answer in answers
        if answer["prediction_set"] != [name for name, p in answer["probabilities"].items() if 1.0 - p <= SURE.quantile]
    ]
    assert len(answers) == 300
    assert wrong == []
    with Client(str(sure.http.base_url), "overflow") as client:
        assert client.predict({"tank": "t7", "valve": 3}).prediction_set


def test_replay_makes_the_sets_again_and_finds_another_quantile(sure: Service) -> None:
    sure.ask_many(range(50))
    store = ArtifactStore(sure.settings.artifacts)
    replay = Replay(sure.book, {"overflow": toy.CONTRACT}, store, sure.folder / "cache")
    since = datetime.now(UTC) - timedelta(hours=1)
    verdicts = list(replay.run(since=since))
    assert len(verdicts) == 50
    assert {verdict.stage for verdict in verdicts} == {""}
    other = toy.release(sure.book, sure.settings.artifacts, sure.folder, version=2, conformal=Conformal(0.9, 0.1, 99))
    with sure.book.connect() as connection:
        connection.execute("UPDATE app.origin SET artifact = %s WHERE release = 2", (other,))
    different = [verdict for verdict in replay.run(since=since) if not verdict.same]
    assert different
    assert {verdict.stage for verdict in different} == {"output"}


def test_a_value_has_an_interval_around_it_and_null_where_there_is_none() -> None:
    encode = PredictionEncoder(PredictionForm(conformal=Conformal(0.9, 1.5, 99)))
    first, second = encode(np.array([2.0, np.nan]), [(), ()])
    assert first == b'{"prediction":2.0,"missing":[],"interval":[0.5,3.5]}'
    assert second == b'{"prediction":null,"missing":[],"interval":[null,null]}'
