"""Functions of single numbers by libm, with the bits of `_kernel.c`: numpy's own round otherwise."""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from penstock.artifact.program import Function

Array = np.ndarray[Any, Any]
Unary = Callable[[float], float]


def one_by_one(function: Unary, values: Array) -> Array:
    """The function of each value, in an array of the same shape."""
    return np.array([function(value) for value in values.ravel().tolist()], dtype=np.float64).reshape(values.shape)


def exp(value: float) -> float:
    """libm's exp."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def expit(value: float) -> float:
    """The logistic function, as scipy computes it."""
    return 1.0 / (1.0 + exp(-value))


@cache
def single_exp() -> Unary:
    """libm's exp in float32; where it cannot be had, that of float64, rounded: they differ in one of many values."""
    import ctypes  # only XGBoost's links need it

    try:
        function = ctypes.CDLL(None).expf
    except (OSError, AttributeError, TypeError):
        return lambda value: float(np.float32(exp(value)))
    function.argtypes, function.restype = [ctypes.c_float], ctypes.c_float
    return function


def _expm1(value: float) -> float:
    try:
        return math.expm1(value)
    except OverflowError:
        return math.inf


def _logarithm(function: Unary, zero: float) -> Unary:
    def of(value: float) -> float:
        return -math.inf if value == zero else math.nan if value < zero else function(value)

    return of


FUNCTIONS: dict[int, Unary] = {
    Function.EXP: exp,
    Function.EXPM1: _expm1,
    Function.LN: _logarithm(math.log, 0.0),
    Function.LOG1P: _logarithm(math.log1p, -1.0),
    Function.LOG2: _logarithm(math.log2, 0.0),
    Function.LOG10: _logarithm(math.log10, 0.0),
    Function.SQRT: lambda value: math.nan if value < 0 else math.sqrt(value),
    Function.SQUARE: lambda value: value * value,
    Function.ABSOLUTE: abs,
    Function.SIGMOID: expit,
    Function.TANH: math.tanh,
    Function.RELU: lambda value: value if value > 0 or math.isnan(value) else 0.0,
    Function.RECIPROCAL: lambda value: 1.0 / value if value else math.copysign(math.inf, value),
    Function.NEGATIVE: lambda value: -value,
}
