"""Predicting over HTTP."""

import numpy as np
import toy
from conftest import Service

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
