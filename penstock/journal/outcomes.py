"""What a model's numbers mean as an answer: the class with its probabilities, or the number."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from penstock.artifact.native import Artifact
from penstock.artifact.threshold import Threshold
from penstock.contract.contract import Contract
from penstock.journal.answers import chosen_classes


class Outcome(NamedTuple):
    """One prediction; `probabilities` by class name for a classifier, None for a regressor."""

    prediction: str | float
    probabilities: dict[str, float] | None


def class_names(contract: Contract, artifact: Artifact) -> tuple[str, ...]:
    """The names of a classifier's classes in the order of its probabilities; none for a regressor."""
    if contract.output.kind == "regressor":
        return ()
    return contract.output.classes or tuple(str(name) for name in artifact.classes)


def outcomes(
    classes: Sequence[str], predicted: np.ndarray[Any, Any], threshold: Threshold | None = None
) -> list[Outcome]:
    """The outcomes of n rows as `Artifact.predict` returns them."""
    if not classes:
        return [Outcome(value, None) for value in predicted.tolist()]
    best = chosen_classes(predicted, threshold)
    return [
        Outcome(classes[top], dict(zip(classes, row, strict=True)))
        for top, row in zip(best, predicted.tolist(), strict=True)
    ]
