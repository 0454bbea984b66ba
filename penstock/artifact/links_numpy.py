"""The link functions in numpy, with the bits of `_kernel.c`."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from penstock.artifact.functions_numpy import exp, one_by_one, single_exp
from penstock.artifact.program import Link

Array = np.ndarray[Any, Any]


def finish(link: Link, raw: Array) -> Array:
    """Predictions of raw scores (n, outputs)."""
    return _LINKS[link](raw)


def _exp(values: Array) -> Array:
    return one_by_one(exp, values)


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


def _softplus(value: float) -> float:
    return math.log1p(exp(value))


def _single_exp(values: Array) -> Array:
    return one_by_one(single_exp(), values).astype(np.float32)


def _single_expit(raw: Array) -> Array:
    with np.errstate(all="ignore"):
        one, tiny, most = np.float32(1), np.float32(1e-16), np.float32(88.7)
        return np.asarray(one / (_single_exp(np.fmin(-raw.astype(np.float32), most)) + one + tiny), np.float64)


def _single_two(second: Array) -> Array:
    return np.concatenate([(1.0 - second).astype(np.float32).astype(np.float64), second], axis=1)


def _single_softmax(raw: Array) -> Array:
    single = raw.astype(np.float32)
    made = _single_exp(single - single.max(axis=1, keepdims=True))
    total = np.zeros((len(made), 1))
    for column in made.T:
        total[:, 0] += column
    return (made / total.astype(np.float32)).astype(np.float64)


_LINKS: dict[Link, Callable[[Array], Array]] = {
    Link.IDENTITY: lambda raw: raw,
    Link.LOG: _exp,
    Link.LOGIT: lambda raw: _two(_expit(raw)),
    Link.HALF_LOGIT: lambda raw: _two(_expit(2.0 * raw)),
    Link.SOFTMAX: lambda raw: _normalised(_exp(raw - raw.max(axis=1, keepdims=True))),
    Link.ONE_VS_REST: lambda raw: _normalised(_expit(raw)),
    Link.CLIPPED: lambda raw: _two(_clipped(raw)),
    Link.CLIPPED_ONE_VS_REST: lambda raw: _normalised(_clipped(raw)),
    Link.EXPIT: _expit,
    Link.SOFTPLUS: lambda raw: one_by_one(_softplus, raw),
    Link.SIGNED_SQUARE: lambda raw: np.abs(raw) * raw,
    Link.SINGLE_LOGIT: lambda raw: _single_two(_single_expit(raw)),
    Link.SINGLE_SOFTMAX: _single_softmax,
    Link.SINGLE_LOG: lambda raw: _single_exp(raw.astype(np.float32)).astype(np.float64),
    Link.SINGLE_EXPIT: _single_expit,
    Link.HINGE: lambda raw: _single_two((raw > 0).astype(np.float64)),
    Link.STEP: lambda raw: (raw > 0).astype(np.float64),
}
