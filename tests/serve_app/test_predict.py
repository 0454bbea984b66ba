"""Predicting over HTTP."""

import msgspec
import numpy as np
import toy
from conftest import Service, Start, wait_for

from model_tools import artifact
from resources.artifacts import ArtifactStore


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


def test_the_service_describes_itself(service: Service) -> None:
    service.ask()
    assert service.http.get("/models").json()[0]["release"] == 1
    described = service.http.get("/models/overflow").json()
    assert described["metrics"] == {"roc_auc": 0.9}
    assert [(entry["version"], entry["replaced"]) for entry in described["releases"]][-1] == (1, None)
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
