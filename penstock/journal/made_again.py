"""A journaled answer and the one that is made again of the same numbers, compared."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from penstock.artifact.native import Artifact
from penstock.contract.contract import Columns

STORED_NEAR = 1e-6
"""How far the answers of a library itself may be apart, as shares of what is above 1: its sums of one row may be in
another order than of many, and so may those of the rows that happened to wait together for the service."""


def predicted_again(model: Artifact, vectors: Columns) -> np.ndarray[Any, Any]:
    """The predictions of n rows. Where the library itself predicts, row by row, as most of them were asked."""
    rows = len(next(iter(vectors.values())))
    if model.fallback is None or rows < 2:
        return model.predict(vectors)
    alone = [{name: values[at : at + 1] for name, values in vectors.items()} for at in range(rows)]
    return np.concatenate([model.predict(one) for one in alone])


def is_near(model: Artifact, answer: Mapping[str, Any], made: Mapping[str, Any]) -> bool:
    """Whether an answer was made again within STORED_NEAR and not to the bit, where the library itself predicts."""
    if model.fallback is None or answered(answer) == answered(made):
        return False
    return _near(_said(answer), _said(made))


def answered(answer: Mapping[str, Any]) -> str:
    """What was predicted, and how sure it is, as JSON, which keeps every bit of a float."""
    return msgspec.json.encode(_said(answer)).decode()


def _said(answer: Mapping[str, Any]) -> list[Any]:
    sure = [answer[name] for name in ("interval", "prediction_set", "scores") if answer.get(name) is not None]
    return [answer["prediction"], answer.get("probabilities"), *sure]


def _near(one: Any, other: Any) -> bool:
    if isinstance(one, float | int) and isinstance(other, float | int):
        return bool(abs(one - other) <= STORED_NEAR * max(1.0, abs(one)))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return list(one) == list(other) and all(_near(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_near, one, other))
    return bool(one == other)
