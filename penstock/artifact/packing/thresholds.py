"""Classifiers whose label a threshold decides; their probabilities, or decision scores, stay."""

from typing import Any

import numpy as np

from penstock.artifact import compat
from penstock.artifact.packing.estimators import INSIDE, final_of, inside
from penstock.artifact.packing.model import public_name
from penstock.artifact.packing.program import unsupported
from penstock.artifact.threshold import Threshold
from penstock.errors import PenstockError


def threshold_of(estimator: Any) -> Threshold | None:
    """The threshold of FixedThresholdClassifier or TunedThresholdClassifierCV, where one of them answers."""
    name = public_name(estimator)
    if name == "Pipeline":
        return threshold_of(estimator.steps[-1][1])
    if name not in ("FixedThresholdClassifier", "TunedThresholdClassifierCV"):
        return threshold_of(inside(estimator)) if name in INSIDE else None
    scores = not hasattr(final_of(estimator), "predict_proba")
    if estimator.response_method == "decision_function" and not scores:
        raise unsupported(estimator, "response_method='auto' or 'predict_proba'", "decision_function")
    if name == "FixedThresholdClassifier":
        at, positive = estimator.threshold, estimator.pos_label
        at = (0.0 if scores else 0.5) if isinstance(at, str) else at
    else:
        at, positive = estimator.best_threshold_, compat.TUNED_LABEL.of(estimator)()
    if not np.isfinite(at):
        raise PenstockError(
            f"threshold of {name}",
            expected="a number",
            found=str(at),
            todo="Some scores by which it was tuned are no numbers: choose another estimator in it.",
        )
    classes = np.asarray(final_of(estimator).classes_)
    place = 1 if positive is None else int(np.flatnonzero(classes == positive)[0])
    return Threshold(place, float(at))
