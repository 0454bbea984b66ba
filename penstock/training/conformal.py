"""Split-conformal calibration on half of the held-out rows, and coverage on the other half."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from penstock.artifact.conformal import Conformal
from penstock.artifact.file import rewrite
from penstock.artifact.load import load as load_artifact
from penstock.artifact.native import Artifact
from penstock.declare.model import Model
from penstock.errors import PenstockError

Array = np.ndarray[Any, Any]
DEVIATIONS = 3.0
"""Standard deviations of chance by which a coverage may be lower than what was promised."""


class Coverage(msgspec.Struct, frozen=True):
    """The share of `rows` outcomes that intervals or sets hold, which promise `level`."""

    level: float
    share: float
    rows: int

    @property
    def too_low(self) -> bool:
        """Whether chance alone does not explain what is missing."""
        return self.share < self.level - DEVIATIONS * math.sqrt(self.level * (1 - self.level) / max(self.rows, 1))


def calibrated(
    model: Model, artifact: Artifact, metadata: Mapping[str, Any], predictions: Array, outcome: Array
) -> Artifact:
    """The artifact, written again with what its intervals or sets are made of, their coverage among its metrics."""
    conformal = calibrate(model, predictions, outcome)
    found = coverage(conformal, predictions, outcome)
    metrics = metadata["metrics"] | {"coverage": found.share, "coverage_rows": found.rows}
    rewrite(artifact.path, conformal=conformal, metadata={**metadata, "metrics": metrics})
    return load_artifact(artifact.path)


def calibrating(rows: int) -> Array:
    """Which of n held-out rows calibrate: a random half, always the same one. Coverage is measured on the rest.

    Every other row would not do: where two rows belong together, the halves would be of two kinds. RandomState's
    numbers are those of all versions of numpy.
    """
    return np.asarray(np.random.RandomState(rows % 2**32).permutation(rows) % 2 == 0)


def calibrate(model: Model, predicted: Array, outcome: Array) -> Conformal:
    """The quantile of n held-out rows, of which half are taken; PenstockError if these are too few for the level.

    With n errors it is the one of rank ceil((n + 1) * level), which is what a next row needs in expectation.
    """
    level = model.interval or model.sets
    chosen = calibrating(len(outcome))
    errors = np.sort(_errors(predicted[chosen], outcome[chosen]))
    # As decimals are meant: 0.9 of 9 + 1 rows is the ninth, though 0.9 is a little more than nine tenths.
    rank = math.ceil(round((len(errors) + 1) * level, 9))
    if rank > len(errors):
        raise PenstockError(
            f"{'interval' if model.interval else 'sets'} of model {model.contract.model!r}",
            expected=f"at least {math.ceil(round(level / (1 - level), 9))} held-out rows to calibrate {level}",
            found=f"{len(errors)}, half of {len(outcome)}",
            todo="Hold out a longer period (`every`), or promise less.",
        )
    return Conformal(level, float(errors[rank - 1]), len(errors))


def coverage(conformal: Conformal, predicted: Array, outcome: Array) -> Coverage:
    """The coverage on those of n held-out rows that do not calibrate."""
    judged = ~calibrating(len(outcome))
    held = _held(conformal, predicted[judged], outcome[judged])
    return Coverage(conformal.level, float(held.mean()) if len(held) else 0.0, len(held))


def _held(conformal: Conformal, predicted: Array, outcome: Array) -> Array:
    if predicted.ndim == 2:
        return np.asarray(conformal.sets(predicted)[np.arange(len(outcome)), outcome.astype(np.int64)])
    low, high = conformal.intervals(predicted).T
    return np.asarray((low <= outcome) & (outcome <= high))


def _errors(predicted: Array, outcome: Array) -> Array:
    """How strange each outcome is: (n,) from values (n,) or probabilities (n, k)."""
    if predicted.ndim == 2:
        return np.asarray(1.0 - predicted[np.arange(len(outcome)), outcome.astype(np.int64)])
    return np.asarray(np.abs(outcome - predicted))
