"""Predicting over HTTP."""

from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import pytest

from penstock.artifact import load as artifact
from penstock.journal import writing
from penstock.releases.artifacts import ArtifactStore
from penstock.serving.answering.batching import LANES, PIECE
from tests.engine.serving import toy
from tests.engine.serving.conftest import Service, Start, wait_for


def test_an_answer_is_what_the_artifact_says_of_the_looked_up_rows(service: Service) -> None:
    answer = service.ask().json()
    level = 1.0 + 7 / 3 + 5 / 10
    columns = {
        "inflow": np.array([40.0]),
        "room": np.array([5.0 + 7 / 7 - level]),
        "shape": np.array(["round"], dtype=object),
        "age": np.array([30.0]),
    }
    with service.book.connect() as connection:
        digest = connection.execute("SELECT artifact FROM app.current_release").fetchone()[0]
    model = artifact.load(ArtifactStore(service.settings.artifacts).fetch(digest, service.folder / "c"))
    holds, overflows = model.predict(columns)[0].tolist()
    assert answer["probabilities"] == {"holds": holds, "overflows": overflows}
    assert answer["prediction"] == ("overflows" if overflows > holds else "holds")
    assert answer["release"] == 1
    assert set(answer["snapshots"]) == {"tanks", "levels", "valves"}
    assert answer["missing"] == []
    assert answer["unchanged"] is False


def test_an_array_is_answered_in_order_and_journaled(service: Service) -> None:
    requests = [{"tank": f"t{n % 50}", "valve": n // 50, "asked_at": "2026-01-01T05:30:00Z"} for n in range(2500)]
    answers = service.http.post("/models/overflow/predict", json=requests).json()
    assert len({answer["id"] for answer in answers}) == 2500
    assert service.journal() == 2500
    made = service.http.get(f"/models/overflow/predictions/{answers[1234]['id']}").json()
    assert (made["request"]["tank"], made["request"]["valve"]) == ("t34", 24)
    assert made["answer"] == answers[1234]
    assert made["request_id"]


def test_every_row_of_an_array_is_journaled_as_it_was_asked_whatever_its_text(service: Service) -> None:
    texts = ["\x1f", "\x1f,\x1f", ",", '"},{"', "\\", "{}", "", "\u2028 é 𝄞", "a\nb\t%b%s"]
    times = ["2026-01-01T05:30:00Z", "2026-01-01T05:30:00.123456+05:30", "2026-01-01T00:00:00-23:59"]
    times += ["1563-09-16T02:30:45.3+19:23", "0002-01-01T00:00:00+23:59", "9998-12-31T23:59:59.999999-23:59"]
    requests = [
        {"tank": "t7", "valve": n, "note": text, "asked_at": times[n % len(times)]} for n, text in enumerate(texts)
    ]
    answers = service.http.post("/models/overflow/predict", json=requests).json()
    for asked, answer in zip(requests, answers, strict=True):
        made = service.http.get(f"/models/overflow/predictions/{answer['id']}").json()
        assert made["request"]["note"] == asked["note"]
        assert made["answer"] == answer
        moments = [datetime.fromisoformat(one["asked_at"]) for one in (asked, made, made["request"])]
        assert moments[0] == moments[1] == moments[2]


def test_the_service_describes_itself(service: Service) -> None:
    service.ask()
    assert service.http.get("/models").json()[0]["release"] == 1
    described = service.http.get("/models/overflow").json()
    assert described["metrics"] == {"roc_auc": 0.9}
    assert [(entry["release"], entry["replaced"]) for entry in described["releases"]][-1] == (1, None)
    assert {table["table"] for table in described["state"]["tables"]} == {"tanks", "levels", "valves"}
    document = service.http.get("/openapi.json").json()
    example = document["paths"]["/models/overflow/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert service.http.post("/models/overflow/predict", json=example["examples"]["one"]["value"]).status_code == 200
    assert "penstock_predictions_total" in service.http.get("/metrics").text
    assert len(service.http.get("/models/overflow/predictions").json()) == 2
    for page in ("/", "/docs"):
        assert service.http.get(page).headers["content-type"].startswith("text/html")
        assert "http" not in service.http.get(page).text.replace("http-equiv", ""), "the page works offline"


def test_relaxed_answers_are_journaled_right_after(start: Start, service: Service) -> None:
    relaxed = start(msgspec.structs.replace(toy.CONTRACT, journal="relaxed"))
    given = {relaxed.ask(inflow=n).json()["id"] for n in range(20)}
    wait_for(lambda: service.journal() == 20)
    assert len(given) == 20


def test_relaxed_loses_no_more_than_the_batches_under_way(
    start: Start, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    relaxed = start(msgspec.structs.replace(toy.CONTRACT, journal="relaxed"))
    write = writing.write
    failing = False

    async def sometimes(*arguments: Any) -> list[Any]:
        if failing:
            raise ConnectionResetError
        return await write(*arguments)

    monkeypatch.setattr(writing, "write", sometimes)
    before = {answer["id"] for answer in relaxed.ask_many(range(600))}
    wait_for(lambda: service.journal() == len(before))
    failing = True
    lost = relaxed.ask_many(range(600, 600 + PIECE))
    failing = False
    after = {answer["id"] for answer in relaxed.ask_many(range(2000, 2300))}
    wait_for(lambda: service.journal() >= len(before) + len(after))
    assert len(lost) <= LANES * PIECE
    assert service.journal() == len(before) + len(after), "lost is what was given while nothing could be written"


def test_what_is_wrong_far_down_an_array_is_named_by_its_place(start: Start, service: Service) -> None:
    lookups = tuple(
        msgspec.structs.replace(lookup, missing="reject") if lookup.name == "tank" else lookup
        for lookup in toy.CONTRACT.lookups
    )
    strict = start(msgspec.structs.replace(toy.CONTRACT, lookups=lookups))
    service.release(2, contract=strict.contract)
    wait_for(lambda: strict.ask().status_code == 200)
    for wait in (lambda: None, strict.wait_for_tables):
        wait()
        many = [{"tank": "t7", "valve": n % 60, "asked_at": "2026-01-01T05:30:00Z"} for n in range(700)]
        many[610]["tank"] = "nowhere"
        refused = strict.http.post("/models/overflow/predict", json=many)
        assert refused.status_code == 422
        assert [fault["field"] for fault in refused.json()["faults"]] == ["$[610].tank"]


def test_an_array_of_which_a_piece_fails_is_refused_whole_and_answered_when_asked_again(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = writing.write, 0

    async def third_fails(*arguments: Any) -> list[Any]:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise ConnectionResetError
        return await write(*arguments)

    monkeypatch.setattr(writing, "write", third_fails)
    service.wait_for_tables()
    rows = 4 * PIECE
    many = [
        {"tank": f"t{n % 50}", "valve": n // 50, "inflow": 1, "asked_at": "2026-01-01T05:30:00Z"} for n in range(rows)
    ]
    assert service.http.post("/models/overflow/predict", json=many).status_code == 503
    kept = service.journal()
    assert kept < rows
    answers = service.http.post("/models/overflow/predict", json=many).json()
    assert len({answer["id"] for answer in answers}) == rows
    assert sum(answer["unchanged"] for answer in answers) >= kept, "what was journaled is given again"
    assert service.journal() == rows


def test_a_publish_is_seen_whether_its_table_is_in_memory_yet_or_not(service: Service) -> None:
    service.wait_for_tables()
    for height in (7.0, 8.0, 9.0):
        snapshot = toy.publish_tanks(service.book, height)
        for inflow in (height, height + 0.5):
            made = service.ask(inflow=inflow).json()
            assert made["snapshots"]["tanks"] == snapshot
            journaled = service.http.get(f"/models/overflow/predictions/{made['id']}").json()
            assert journaled["looked_up"]["tank"]["height"] == height + 1
        service.wait_for_tables()
