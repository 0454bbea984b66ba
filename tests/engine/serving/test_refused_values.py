"""Values that the model cannot take are the caller's: 422 with row, feature and value, whoever computes the model."""

from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from penstock.artifact import load as artifact
from penstock.artifact.packing.pack import pack
from penstock.artifact.skops_artifact import SkopsArtifact
from penstock.releases.artifacts import ArtifactStore
from penstock.testing import wait_for
from tests.engine.serving import toy
from tests.engine.serving.conftest import Service

NEIGHBOURS = KNeighborsClassifier(algorithm="brute")
ROUTE = "/models/overflow/predict"
GOOD = {"tank": "t7", "valve": 3, "inflow": 1.5, "asked_at": "2026-01-01T05:30:00Z"}
BAD = [GOOD | {"tank": "t1"}, GOOD, GOOD | {"tank": "t2"}, GOOD | {"tank": "t0"}]
"""A tank of a shape that no model knows; one whose level is infinite; one without a level."""


def publish(service: Service) -> None:
    """The rows of which BAD tells."""
    shapes = [(f"t{n}", 5.0, "round" if n != 1 else "oval") for n in range(50)]
    toy.publish(service.book, "tanks", 'name text COLLATE "C", height float8, shape text COLLATE "C"', shapes, "name")
    levels = [(f"t{n}", toy.START, 1.0 if n != 2 else float("inf")) for n in range(1, 50)]
    columns = 'tank text COLLATE "C", measured_at timestamptz, level float8'
    toy.publish(service.book, "levels", columns, levels, "tank, measured_at")


def release(service: Service, last: Any) -> str:
    """A model that takes no unknown shape, no missing and no infinite number becomes current; returns its digest."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({name: rng.normal(size=60) for name in ("inflow", "room", "age")})
    frame.insert(2, "shape", pd.Series(rng.choice(["round", "square"], 60), dtype=object))
    encode = OneHotEncoder(handle_unknown="error", sparse_output=False)
    encoder = ColumnTransformer([("shape", encode, ["shape"])], remainder="passthrough")
    path = service.folder / "strict.artifact"
    pack(
        make_pipeline(encoder, last).fit(frame, rng.integers(0, 2, 60)),
        path,
        features=toy.CONTRACT.features,
        metadata={},
    )
    digest = ArtifactStore(service.settings.artifacts).put(path)
    assert isinstance(artifact.load(path), SkopsArtifact) == (last is NEIGHBOURS)
    service.release(2, digest=digest)
    wait_for(lambda: service.serves() == 2)
    return digest


@pytest.mark.slow
@pytest.mark.parametrize("last", [LogisticRegression(), NEIGHBOURS], ids=["packed", "skops"])
@pytest.mark.parametrize("in_memory", [True, False])
def test_what_a_strict_model_cannot_take_is_refused_row_by_row(service: Service, last: Any, in_memory: bool) -> None:
    publish(service)
    release(service, last)
    if in_memory:
        service.wait_for_tables()
    answer = service.http.post(ROUTE, json=BAD)
    assert answer.status_code == 422, answer.text
    found = {(fault["field"], fault["feature"]): fault["found"] for fault in answer.json()["faults"]}
    assert found == {
        ("$[0]", "shape"): '"oval" (from tank.shape)',
        ("$[2]", "room"): "-Infinity",
        ("$[3]", "room"): "no value (no row was found by level)",
    }
    assert answer.json()["faults"][0]["expected"] == "a category seen in training"
    one = service.http.post(ROUTE, json=BAD[0])
    assert (one.status_code, one.json()["faults"][0]["field"]) == (422, "$")
    assert "$, feature 'shape': expected a category seen in training, found \"oval\"" in one.json()["detail"]
    assert service.http.post(ROUTE, json=GOOD).status_code == 200
    fallback = service.http.get("/models/overflow").json()["state"]["fallback"]
    if last is NEIGHBOURS:
        assert fallback["library"] == "scikit-learn"
        assert fallback["us_per_row"] > 1
    else:
        assert fallback is None
    tensors = [
        {"name": name, "datatype": kind, "shape": [4], "data": [row[name] for row in BAD]}
        for name, kind in (("tank", "BYTES"), ("valve", "INT64"), ("inflow", "FP64"), ("asked_at", "BYTES"))
    ]
    refused = service.http.post("/v2/models/overflow/infer", json={"inputs": tensors})
    assert refused.status_code == 422
    assert [f"$[{row}], feature" in refused.json()["error"] for row in range(4)] == [True, False, True, True]


def test_an_answer_that_is_no_number_is_refused_by_row(service: Service) -> None:
    """The square of 1e200 is infinite: the shares of both classes are then no numbers."""
    publish(service)
    levels = [("t3", toy.START, 1e200), ("t7", toy.START, 1.0)]
    columns = 'tank text COLLATE "C", measured_at timestamptz, level float8'
    toy.publish(service.book, "levels", columns, levels, "tank, measured_at")
    release(service, GaussianNB())
    answer = service.http.post(ROUTE, json=[GOOD, GOOD | {"tank": "t3"}])
    assert answer.status_code == 422, answer.text
    [fault] = answer.json()["faults"]
    assert (fault["field"], fault["found"]) == ("$[1]", "an answer that is no number")
    assert service.http.post(ROUTE, json=GOOD).status_code == 200


def test_the_faults_of_all_pieces_of_a_long_array_are_listed(service: Service) -> None:
    publish(service)
    release(service, LogisticRegression())
    many = [GOOD | {"valve": n % 100, "tank": f"t{10 + n % 40}"} for n in range(1200)]
    many[3] = many[1100] = BAD[0]
    answer = service.http.post(ROUTE, json=many)
    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["faults"]] == ["$[3]", "$[1100]"]


def test_a_row_that_has_to_be_there_and_a_value_that_cannot_be_taken_are_said_together(start: Any, book: Any) -> None:
    lookups = tuple(
        msgspec.structs.replace(one, missing="reject") if one.name == "level" else one for one in toy.CONTRACT.lookups
    )
    contract = msgspec.structs.replace(toy.CONTRACT, lookups=lookups)
    toy.publish_all(book)
    service = start(contract)
    publish(service)
    release(service, LogisticRegression())
    answer = service.http.post(ROUTE, json=BAD)
    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["faults"]] == ["$[0]", "$[2]", "$[3].tank"]
