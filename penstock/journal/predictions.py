"""What a model's numbers mean as an answer: the class with its probabilities, or the number."""

from typing import Any, NamedTuple

import numpy as np

from penstock.artifact.native import Artifact
from penstock.contract.contract import Contract
from penstock.journal.answers import PredictionForm, chosen_classes


class Prediction(NamedTuple):
    """One prediction; `probabilities` by class name for a classifier, None for a regressor.

    - `interval`, `prediction_set`: of a model that says how sure it is.
    - `scores`: by class name, of a classifier without probabilities.
    """

    prediction: str | float | dict[str, float]
    probabilities: dict[str, float] | None
    interval: list[float] | None = None
    prediction_set: list[str] | None = None
    scores: dict[str, float] | None = None


def class_names(contract: Contract, artifact: Artifact) -> tuple[str, ...]:
    """The names of a classifier's classes in the order of its probabilities; none for a regressor."""
    if contract.output.kind == "regressor":
        return ()
    return contract.output.classes or tuple(str(name) for name in artifact.classes)


def form_of(contract: Contract, artifact: Artifact) -> PredictionForm:
    """What the numbers of an artifact are."""
    values = tuple(value.name for value in contract.output.values)
    classes = class_names(contract, artifact)
    return PredictionForm(classes, values, artifact.scores, artifact.threshold, artifact.conformal)


def predictions(form: PredictionForm, predicted: np.ndarray[Any, Any]) -> list[Prediction]:
    """The predictions of n rows as `Artifact.predict` returns them."""
    classes, conformal = form.classes, form.conformal
    if form.values:
        return [Prediction(dict(zip(form.values, row, strict=True)), None) for row in predicted.tolist()]
    if form.scores:
        rows = predicted[:, 1:].tolist()
        labels = [classes[place] for place in chosen_classes(predicted, form)]
        return [
            Prediction(label, None, scores=dict(zip(form.scored, row, strict=True)))
            for label, row in zip(labels, rows, strict=True)
        ]
    if not classes:
        ends = [None] * len(predicted) if conformal is None else conformal.intervals(predicted).tolist()
        return [Prediction(value, None, both) for value, both in zip(predicted.tolist(), ends, strict=True)]
    best = chosen_classes(predicted, form)
    held = [None] * len(predicted) if conformal is None else conformal.sets(predicted).tolist()
    return [
        Prediction(
            classes[top],
            dict(zip(classes, row, strict=True)),
            None,
            None if inside is None else [name for name, one in zip(classes, inside, strict=True) if one],
        )
        for top, row, inside in zip(best, predicted.tolist(), held, strict=True)
    ]
