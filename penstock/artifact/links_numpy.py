"""The link functions in numpy, with the bits of `_kernel.c`."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from penstock.artifact.program import Link

Array = np.ndarray[Any, Any]


def finish(link: Link, raw: Array) -> Array:
    """Predictions of raw scores (n, outputs). libm's exp through `math`, because numpy's own rounds differently."""
    return _LINKS[link](raw)


def _exp(values: Array) -> Array:
    def exp(value: float) -> float:
        try:
            return math.exp(value)
        except OverflowError:
            return math.inf

    return np.array([exp(value) for value in values.ravel().tolist()], dtype=np.float64).reshape(values.shape)


def _expit(raw: Array) -> Array:
    return np.asarray(1.0 / (1.0 + _exp(-raw)))


def _clipped(raw: Array) -> Array:
    return np.asarray((np.clip(raw, -1.0, 1.0) + 1.0) / 2.0)


def _two(second: Array) -> Array:
    return np.concatenate([1.0 - second, second], axis=1)


def _normalised(scores: Array) -> Array:
    total = np.zeros((len(scores), 1))
    for column in scores.T:
        total[:, 0] += column
    return np.where(total == 0.0, 1.0 / scores.shape[1], scores / total)


_LINKS: dict[Link, Callable[[Array], Array]] = {
    Link.IDENTITY: lambda raw: raw,
    Link.LOG: _exp,
    Link.LOGIT: lambda raw: _two(_expit(raw)),
    Link.HALF_LOGIT: lambda raw: _two(_expit(2.0 * raw)),
    Link.SOFTMAX: lambda raw: _normalised(_exp(raw - raw.max(axis=1, keepdims=True))),
    Link.ONE_VS_REST: lambda raw: _normalised(_expit(raw)),
    Link.CLIPPED: lambda raw: _two(_clipped(raw)),
    Link.CLIPPED_ONE_VS_REST: lambda raw: _normalised(_clipped(raw)),
}
