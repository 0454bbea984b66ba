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


def power(base: float, exponent: float) -> float:
    """libm's pow."""
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return -math.inf if base < 0 and exponent % 2 == 1 else math.inf
    except ValueError:
        return math.inf if base == 0 else math.nan


def _of_libm(function: Unary) -> Unary:
    """The function with infinity and NaN where Python raises an error."""

    def of(value: float) -> float:
        try:
            return function(value)
        except OverflowError:
            return -math.inf if function is math.sinh and value < 0 else math.inf
        except ValueError:
            return math.copysign(math.inf, value) if function is math.atanh and abs(value) == 1 else math.nan

    return of


def _whole(function: Callable[[float], int]) -> Unary:
    return lambda value: math.copysign(float(function(value)), value) if math.isfinite(value) else value


def normal_quantile(share: float) -> float:
    """Where the normal distribution reaches a share: Cephes' ndtri, as scipy has it."""
    if share <= 0.0 or share >= 1.0 or math.isnan(share):
        return -math.inf if share == 0.0 else math.inf if share == 1.0 else math.nan
    low = share <= 1.0 - _EXP_MINUS_2
    y = share if low else 1.0 - share
    if y > _EXP_MINUS_2:
        y -= 0.5
        square = y * y
        return (y + y * (square * _polynomial(square, _P0) / _polynomial(square, _Q0))) * 2.50662827463100050242
    x = math.sqrt(-2.0 * math.log(y))
    z = 1.0 / x
    p, q = (_P1, _Q1) if x < 8.0 else (_P2, _Q2)
    x = x - math.log(x) / x - z * _polynomial(z, p) / _polynomial(z, q)
    return -x if low else x


def _polynomial(x: float, coefficients: tuple[float, ...]) -> float:
    total = coefficients[0]
    for one in coefficients[1:]:
        total = total * x + one
    return total


_EXP_MINUS_2 = 0.13533528323661269189
_P0: tuple[float, ...] = (
    -59.9633501014107895267,
    98.0010754185999661536,
    -56.6762857469070293439,
    13.9312609387279679503,
)
_P0 += (-1.23916583867381258016,)
_Q0: tuple[float, ...] = (
    1.0,
    1.95448858338141759834,
    4.67627912898881538453,
    86.3602421390890590575,
    -225.462687854119370527,
)
_Q0 += (200.260212380060660359, -82.0372256168333339912, 15.9056225126211695515, -1.18331621121330003142)
_P1: tuple[float, ...] = (
    4.05544892305962419923,
    31.5251094599893866154,
    57.1628192246421288162,
    44.0805073893200834700,
)
_P1 += (14.6849561928858024014, 2.18663306850790267539, -0.140256079171354495875, -0.0350424626827848203418)
_P1 += (-8.57456785154685413611e-4,)
_Q1: tuple[float, ...] = (
    1.0,
    15.7799883256466749731,
    45.3907635128879210584,
    41.3172038254672030440,
    15.0425385692907503408,
)
_Q1 += (2.50464946208309415979, -0.142182922854787788574, -0.0380806407691578277194, -9.33259480895457427372e-4)
_P2: tuple[float, ...] = (
    3.23774891776946035970,
    6.91522889068984211695,
    3.93881025292474443415,
    1.33303460815807542389,
)
_P2 += (0.201485389549179081538, 0.0123716634817820021358, 3.01581553508235416007e-4, 2.65806974686737550832e-6)
_P2 += (6.23974539184983293730e-9,)
_Q2: tuple[float, ...] = (
    1.0,
    6.02427039364742014255,
    3.67983563856160859403,
    1.37702099489081330271,
    0.216236993594496635890,
)
_Q2 += (0.0134204006088543189037, 3.28014464682127739104e-4, 2.89247864745380683936e-6, 6.79019408009981274425e-9)

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
    Function.CUBE_ROOT: math.cbrt,
    Function.SINE: _of_libm(math.sin),
    Function.COSINE: _of_libm(math.cos),
    Function.TANGENT: _of_libm(math.tan),
    Function.ARCSINE: _of_libm(math.asin),
    Function.ARCCOSINE: _of_libm(math.acos),
    Function.ARCTANGENT: math.atan,
    Function.SINH: _of_libm(math.sinh),
    Function.COSH: _of_libm(math.cosh),
    Function.ARCSINH: math.asinh,
    Function.ARCCOSH: _of_libm(math.acosh),
    Function.ARCTANH: _of_libm(math.atanh),
    Function.EXP2: _of_libm(math.exp2),
    Function.SIGN: lambda value: value if math.isnan(value) else float((value > 0) - (value < 0)),
    Function.CEILING: _whole(math.ceil),
    Function.ROUND: _whole(round),
    Function.NORMAL_QUANTILE: normal_quantile,
}
