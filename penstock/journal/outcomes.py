"""What a model's numbers mean as an answer: the class with its probabilities, or the number."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from penstock.artifact.conformal import Conformal
from penstock.artifact.native import Artifact
from penstock.artifact.threshold import Threshold
from penstock.contract.contract import Contract
from penstock.journal.answers import chosen_classes


class Outcome(NamedTuple):
    """One prediction; `probabilities` by class name for a classifier, None for a regressor.

    `interval`, `prediction_set`: of a model that says how sure it is.
    """

    prediction: str | float
    probabilities: dict[str, float] | None
    interval: list[float] | None = None
    prediction_set: list[str] | None = None


def class_names(contract: Contract, artifact: Artifact) -> tuple[str, ...]:
    """The names of a classifier's classes in the order of its probabilities; none for a regressor."""
    if contract.output.kind == "regressor":
        return ()
    return contract.output.classes or tuple(str(name) for name in artifact.classes)


def outcomes(
    classes: Sequence[str],
    predicted: np.ndarray[Any, Any],
    threshold: Threshold | None = None,
    conformal: Conformal | None = None,
) -> list[Outcome]:
    """The outcomes of n rows as `Artifact.predict` returns them."""
    if not classes:
        ends = [None] * len(predicted) if conformal is None else conformal.intervals(predicted).tolist()
        return [Outcome(value, None, both) for value, both in zip(predicted.tolist(), ends, strict=True)]
    best = chosen_classes(predicted, threshold)
    held = [None] * len(predicted) if conformal is None else conformal.sets(predicted).tolist()
    return [
        Outcome(
            classes[top],
            dict(zip(classes, row, strict=True)),
            None,
            None if inside is None else [name for name, one in zip(classes, inside, strict=True) if one],
        )
        for top, row, inside in zip(best, predicted.tolist(), held, strict=True)
    ]
