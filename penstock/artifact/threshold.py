"""Which class a classifier answers: the most probable one, or the one that a declared threshold decides."""

from typing import Any

import msgspec
import numpy as np


class Threshold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of two classes, the one at `place` is answered where its probability is at least `at`, else the other."""

    place: int
    at: float


def chosen_classes(predicted: np.ndarray[Any, Any], threshold: Threshold | None) -> list[int]:
    """The place of the answered class for each of n rows of probabilities; the first of equally probable ones wins."""
    if threshold is None:
        return list(predicted.argmax(axis=1).tolist())
    place = threshold.place
    return list(np.where(predicted[:, place] >= threshold.at, place, 1 - place).tolist())
