"""Predictions are made piece by piece; they are the JSON that an encoder makes of the whole."""

import math

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from penstock.artifact.scores import labelled
from penstock.artifact.threshold import Threshold
from penstock.journal.answers import PredictionEncoder, PredictionForm
from penstock.journal.predictions import predictions

NUMBERS = st.floats() | st.sampled_from([0.0, -0.0, 1.0, 1e-7, 5e-324, 1e22, 0.1 + 0.2])
NAMES = st.lists(st.text(max_size=6), min_size=2, max_size=4, unique=True)
LOST = st.lists(st.sampled_from(["weather", "plane", 'a "%b" lookup']), unique=True, max_size=3).map(tuple)


@given(names=NAMES, data=st.data(), rows=st.integers(0, 5), at=st.none() | st.floats(0, 1))
def test_of_a_classifier(names: list[str], data: st.DataObject, rows: int, at: float | None) -> None:
    threshold = None if at is None or len(names) != 2 else Threshold(1, at)
    predicted = np.array(data.draw(st.lists(NUMBERS, min_size=rows * len(names), max_size=rows * len(names))))
    predicted = predicted.reshape(rows, len(names))
    missing = data.draw(st.lists(LOST, min_size=rows, max_size=rows))

    form = PredictionForm(tuple(names), threshold=threshold)
    made = PredictionEncoder(form)(predicted, missing)

    assert made == [
        msgspec.json.encode({"prediction": one.prediction, "missing": lost, "probabilities": one.probabilities})
        for one, lost in zip(predictions(form, predicted), missing, strict=True)
    ]


@given(values=st.lists(st.tuples(NUMBERS, LOST), max_size=5))
def test_of_a_regressor(values: list[tuple[float, tuple[str, ...]]]) -> None:
    predicted = np.array([value for value, _ in values], dtype=np.float64)

    made = PredictionEncoder(PredictionForm())(predicted, [lost for _, lost in values])

    assert made == [msgspec.json.encode({"prediction": value, "missing": lost}) for value, lost in values]
    decoded = [msgspec.json.decode(one)["prediction"] for one in made]
    assert len(decoded) == len(values)
    for value, found in zip(predicted.tolist(), decoded, strict=True):
        assert found == value if math.isfinite(value) else found is None


@given(names=NAMES, data=st.data(), rows=st.integers(0, 5))
def test_of_a_classifier_without_probabilities(names: list[str], data: st.DataObject, rows: int) -> None:
    form = PredictionForm(tuple(names), scores=True)
    scores = np.array(data.draw(st.lists(NUMBERS, min_size=rows * len(form.scored), max_size=rows * len(form.scored))))
    with np.errstate(invalid="ignore"):
        predicted = labelled(scores.reshape(rows, len(form.scored)))
    missing = data.draw(st.lists(LOST, min_size=rows, max_size=rows))

    made = PredictionEncoder(form)(predicted, missing)

    assert made == [
        msgspec.json.encode({"prediction": one.prediction, "missing": lost, "scores": one.scores})
        for one, lost in zip(predictions(form, predicted), missing, strict=True)
    ]


@given(names=NAMES, data=st.data(), rows=st.integers(0, 5))
def test_of_several_values(names: list[str], data: st.DataObject, rows: int) -> None:
    form = PredictionForm(values=tuple(names))
    predicted = np.array(data.draw(st.lists(NUMBERS, min_size=rows * len(names), max_size=rows * len(names))))
    missing = data.draw(st.lists(LOST, min_size=rows, max_size=rows))

    made = PredictionEncoder(form)(predicted.reshape(rows, len(names)), missing)

    told = predictions(form, predicted.reshape(rows, len(names)))
    assert made == [
        msgspec.json.encode({"prediction": one.prediction, "missing": lost})
        for one, lost in zip(told, missing, strict=True)
    ]


def test_of_two_classes_the_second_has_the_score() -> None:
    [made] = PredictionEncoder(PredictionForm(("holds", "overflows"), scores=True))(np.array([[1.0, 0.25]]), [()])
    assert made == b'{"prediction":"overflows","missing":[],"scores":{"overflows":0.25}}'
