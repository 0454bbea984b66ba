"""Labels with decision scores, and several named values, from the answer through the journal to replay."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from playwright.sync_api import expect, sync_playwright
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.kernel_approximation import Nystroem
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from penstock.cli.explained import explained_lines
from penstock.client import Client
from penstock.contract.contract import Contract, Output, Value
from penstock.journal.explaining import explain
from penstock.journal.replay import Replay
from penstock.postgres.book import Book
from penstock.releases.artifacts import ArtifactStore
from tests.browser import CHROMIUM, needs_chromium
from tests.engine.serving import toy
from tests.engine.serving.conftest import Service, Start, wait_for

CLASSES = ("holds", "overflows")
SCORES = msgspec.structs.replace(toy.CONTRACT, output=Output("overflow", "classifier", CLASSES, scores=True))
REGRESSOR = msgspec.structs.replace(toy.CONTRACT, output=Output("overflow", "regressor"))
VOLUMES = (Value("volume", "m3"), Value("minutes", "min"))
VALUES = msgspec.structs.replace(toy.CONTRACT, output=Output("overflow", "regressor", values=VOLUMES))


def fitted(contract: Contract, seed: int = 1) -> Any:
    """A linear classifier without probabilities, or a forest of two values, over the toy's features."""
    random = np.random.default_rng(seed)
    frame = toy.made_up(random)
    known = frame["inflow"] / 10 - frame["room"].fillna(0)
    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["shape"]), (SimpleImputer(), ["inflow", "room", "age"])
    )
    if contract.output.scores:
        return make_pipeline(encoder, RidgeClassifier()).fit(frame, (known > 5).astype(int))
    outcome = np.column_stack([known, frame["age"] * random.uniform(1, 2)])
    return make_pipeline(encoder, RandomForestRegressor(5, random_state=seed)).fit(frame, outcome)


@pytest.fixture
def serve_form(start: Start, book: Book, tmp_path: Path) -> Callable[..., Service]:
    """A function that returns a service of a contract, whose release is of `fitted`."""

    def serve(contract: Contract, **options: Any) -> Service:
        toy.publish_all(book)
        options = {"estimator": fitted(contract)} | options
        toy.release(book, str(tmp_path / "home" / "artifacts"), tmp_path, contract=contract, **options)
        return start(contract)

    return serve


def replayed(service: Service) -> list[str]:
    """At which stage each journaled prediction differs from its replay."""
    store = ArtifactStore(service.settings.artifacts)
    replay = Replay(service.book, {"overflow": service.contract}, store, service.folder / "cache")
    return [verdict.stage for verdict in replay.run(since=datetime.now(UTC) - timedelta(hours=1))]


def other_artifact(service: Service, estimator: Any = None) -> None:
    """Let the journal say that another artifact has answered."""
    other = toy.release(
        service.book,
        service.settings.artifacts,
        service.folder,
        version=2,
        contract=service.contract,
        estimator=estimator or fitted(service.contract, seed=2),
    )
    with service.book.connect() as connection:
        connection.execute("UPDATE app.origin SET artifact = %s", (other,))


def test_a_label_and_its_score_are_answered_journaled_and_replayed(serve_form: Callable[..., Service]) -> None:
    service = serve_form(SCORES)
    answers = service.ask_many(range(100))
    assert len(answers) == 100
    assert {answer["prediction"] for answer in answers} == set(CLASSES)
    labels = [CLASSES[answer["scores"]["overflows"] > 0] for answer in answers]
    assert labels == [answer["prediction"] for answer in answers]
    assert {tuple(answer["scores"]) for answer in answers} == {("overflows",)}
    assert not any("probabilities" in answer for answer in answers)
    with Client(str(service.http.base_url), "overflow") as client:
        answer = client.predict({"tank": "t7", "valve": 3})
        assert isinstance(answer.scores, dict)
        assert client.prediction(answer.id).answer.scores == answer.scores
    assert replayed(service) == [""] * 101
    other_artifact(service)
    assert "output" in replayed(service)


def test_several_values_are_answered_journaled_and_replayed(serve_form: Callable[..., Service]) -> None:
    service = serve_form(VALUES)
    answers = service.ask_many(range(100))
    assert [list(answer["prediction"]) for answer in answers] == [["volume", "minutes"]] * 100
    assert len({answer["prediction"]["volume"] for answer in answers}) > 5
    with Client(str(service.http.base_url), "overflow") as client:
        answer = client.predict({"tank": "t7", "valve": 3})
        assert isinstance(answer.prediction, dict)
        assert client.prediction(answer.id).answer.prediction == answer.prediction
    assert replayed(service) == [""] * 101
    other_artifact(service)
    assert "output" in replayed(service)


def test_what_a_library_sums_otherwise_for_one_row_is_replayed(serve_form: Callable[..., Service]) -> None:
    frame = toy.made_up(np.random.default_rng(1))
    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["shape"]), (SimpleImputer(), ["inflow", "room", "age"])
    )
    model = make_pipeline(encoder, StandardScaler(), Nystroem(n_components=40, random_state=0), Ridge(1e-3))
    service = serve_form(REGRESSOR, estimator=model.fit(frame, frame["inflow"] * frame["age"]))
    alone = [service.ask(tank=f"t{at}", inflow=at % 23) for at in range(60)]
    asked = service.ask_many(range(60, 120))
    assert len(asked) == len(alone) == 60
    assert replayed(service) == [""] * 120
    other = make_pipeline(encoder, KernelRidge()).fit(frame, frame["inflow"])
    other_artifact(service, other)
    assert "output" in replayed(service)


@pytest.mark.parametrize("contract", [SCORES, VALUES], ids=["scores", "values"])
def test_tensors_are_answered_as_json_requests_are(contract: Contract, serve_form: Callable[..., Service]) -> None:
    service = serve_form(contract)
    output = {one["name"]: one for one in service.http.get("/v2/models/overflow").json()["outputs"]}
    inputs = [
        {"name": "tank", "datatype": "BYTES", "shape": [2], "data": ["t7", "t8"]},
        {"name": "valve", "datatype": "INT64", "shape": [2], "data": [3, 4]},
        {"name": "asked_at", "datatype": "BYTES", "shape": [2], "data": ["2026-01-01T05:30:00Z"] * 2},
    ]
    answered = service.http.post("/v2/models/overflow/infer", json={"inputs": inputs}).json()
    found = {one["name"]: one for one in answered["outputs"]}
    asked = [service.ask(tank=tank, valve=valve, inflow=0.0).json() for tank, valve in (("t7", 3), ("t8", 4))]
    assert len(asked) == 2
    if contract is SCORES:
        assert output["scores"] == {"name": "scores", "datatype": "FP64", "shape": [-1, 1]}
        assert found["scores"]["data"] == [one["scores"]["overflows"] for one in asked]
        assert found["prediction"]["data"] == [one["prediction"] for one in asked]
    else:
        assert output["prediction"]["parameters"] == {"columns": ["volume", "minutes"]}
        assert output["prediction"]["shape"] == [-1, 2]
        assert found["prediction"]["shape"] == [2, 2]
        assert found["prediction"]["data"] == [value for one in asked for value in one["prediction"].values()]


def test_scores_are_explained(serve_form: Callable[..., Service]) -> None:
    service = serve_form(SCORES, explain=True)
    answer = service.ask(explain=True).json()
    assert answer["explained"] == "overflows"
    assert answer["raw_score"] == pytest.approx(answer["scores"]["overflows"], abs=1e-12)
    total = answer["base_value"] + sum(answer["contributions"].values())
    assert total == pytest.approx(answer["raw_score"], abs=1e-9)


def test_each_of_several_values_is_explained(serve_form: Callable[..., Service]) -> None:
    service = serve_form(VALUES, explain=True)
    with Client(str(service.http.base_url), "overflow") as client:
        answer = client.predict({"tank": "t7", "valve": 3, "inflow": 40.0}, explain=True)
    assert isinstance(answer.prediction, dict)
    assert isinstance(answer.others, dict)
    assert answer.explained == "volume"
    assert answer.raw_score == pytest.approx(answer.prediction["volume"], abs=1e-9)
    assert list(answer.others) == ["minutes"]
    other = answer.others["minutes"]
    assert other.raw_score == pytest.approx(answer.prediction["minutes"], abs=1e-9)
    parts = (
        (answer.base_value, answer.contributions, answer.raw_score),
        (other.base_value, other.contributions, other.raw_score),
    )
    for base, contributions, score in parts:
        assert isinstance(contributions, dict)
        assert base + sum(contributions.values()) == pytest.approx(score, abs=1e-9)
    assert other.contributions["age"] == max(other.contributions.values(), key=abs)
    assert set(other.contributions) == {"inflow", "room", "shape", "age"}
    replay = Replay(
        service.book, {"overflow": VALUES}, ArtifactStore(service.settings.artifacts), service.folder / "cache"
    )
    [[entry]] = replay.by_artifact(ids=[answer.id])
    [reason] = explain(VALUES, replay.artifact(entry.artifact), [entry])
    lines = explained_lines(reason, 2)
    assert f"volume {answer.prediction['volume']}, minutes {answer.prediction['minutes']}" in lines[0]
    assert [line.split(":")[0].strip() for line in lines if "raw score" in line] == [
        "raw score of volume",
        "raw score of minutes",
    ]


@pytest.mark.parametrize(
    ("contract", "other", "said"),
    [(SCORES, toy.fitted(1), "expected decision scores, found probabilities"), (VALUES, None, "of 2 values")],
    ids=["scores", "values"],
)
def test_a_release_that_answers_otherwise_is_not_served(
    contract: Contract, other: Any, said: str, serve_form: Callable[..., Service]
) -> None:
    service = serve_form(contract)
    service.release(2, estimator=other or fitted(SCORES))
    refused = wait_for(lambda: service.http.get("/readyz").json()["refused"])
    assert said in refused["overflow"]["reason"]
    assert service.serves() == 1


@needs_chromium
@pytest.mark.parametrize("contract", [SCORES, VALUES], ids=["scores", "values"])
def test_the_live_page_shows_them(contract: Contract, serve_form: Callable[..., Service], browser: None) -> None:
    service = serve_form(contract, explain=True)
    answer = service.ask().json()
    complaints: list[str] = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = chromium.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.goto(str(service.http.base_url))
        recent = page.locator("#recent tr", has_text=answer["id"])
        if contract is SCORES:
            expect(recent).to_contain_text(f"{answer['prediction']} (score ")
        else:
            expect(recent).to_contain_text(re.compile(r"volume [-.\d]+, minutes [-.\d]+"))
        recent.locator("td").first.click()
        expect(page.locator("#said")).to_contain_text(answer["id"])
        expect(page.locator("#why tbody tr")).to_have_count(4 if contract is SCORES else 10)
        chromium.close()
    assert complaints == []
