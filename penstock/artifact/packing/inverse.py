"""Functions of numpy, and the way back from a transformed target."""

from collections.abc import Callable
from typing import Any

import numpy as np

from penstock.artifact import compat
from penstock.artifact.packing.model import sklearn_name
from penstock.artifact.packing.program import ProgramBuilder, unsupported
from penstock.artifact.program import Function, Op

UFUNCS: dict[Any, Function] = {
    np.exp: Function.EXP,
    np.exp2: Function.EXP2,
    np.expm1: Function.EXPM1,
    np.log: Function.LN,
    np.log1p: Function.LOG1P,
    np.log2: Function.LOG2,
    np.log10: Function.LOG10,
    np.sqrt: Function.SQRT,
    np.cbrt: Function.CUBE_ROOT,
    np.square: Function.SQUARE,
    np.abs: Function.ABSOLUTE,
    np.fabs: Function.ABSOLUTE,
    np.reciprocal: Function.RECIPROCAL,
    np.negative: Function.NEGATIVE,
    np.sign: Function.SIGN,
    np.ceil: Function.CEILING,
    np.rint: Function.ROUND,
    np.sin: Function.SINE,
    np.cos: Function.COSINE,
    np.tan: Function.TANGENT,
    np.arcsin: Function.ARCSINE,
    np.arccos: Function.ARCCOSINE,
    np.arctan: Function.ARCTANGENT,
    np.sinh: Function.SINH,
    np.cosh: Function.COSH,
    np.tanh: Function.TANH,
    np.arcsinh: Function.ARCSINH,
    np.arccosh: Function.ARCCOSH,
    np.arctanh: Function.ARCTANH,
}
OPERATIONS: dict[Any, tuple[Op, tuple[float, ...]]] = {
    np.floor: (Op.FLOOR, ()),
    np.trunc: (Op.TRUNCATE, ()),
    np.positive: (Op.COPY, ()),
    np.isnan: (Op.MISSING, (np.nan,)),
    np.degrees: (Op.MULTIPLY, (180.0 / np.pi,)),
    np.rad2deg: (Op.MULTIPLY, (180.0 / np.pi,)),
    np.radians: (Op.MULTIPLY, (np.pi / 180.0,)),
    np.deg2rad: (Op.MULTIPLY, (np.pi / 180.0,)),
}
"""Functions that are an instruction of their own, and its constants."""
_SAME = (
    *(Function.SQRT, Function.SQUARE, Function.ABSOLUTE, Function.RECIPROCAL, Function.NEGATIVE, Function.SIGN),
    *(Function.CEILING, Function.ROUND),
)
EXACT = (*(one for one, function in UFUNCS.items() if function in _SAME), *OPERATIONS)
"""Functions of which numpy makes the same bits on every machine."""
TO_ZERO = (np.floor, np.trunc, np.rint, np.ceil)
"""Functions that make zeros of other numbers."""
INVERTED = (
    *("FunctionTransformer", "StandardScaler", "MinMaxScaler", "RobustScaler", "MaxAbsScaler"),
    *("PowerTransformer", "QuantileTransformer"),
)
"""Transformers of a target whose way back is packed, alone and in a Pipeline."""


def in_numpy(function: Any) -> bool:
    """Whether it is one of UFUNCS or OPERATIONS."""
    return isinstance(function, np.ufunc) and (function in UFUNCS or function in OPERATIONS)


def in_double(function: Any, dtype: str) -> bool:
    """Whether numpy computes the function of numbers of the dtype in float64: of small integers it does in float16."""
    kind = np.dtype(dtype)
    return function is None or kind == np.float64 or (kind.itemsize > 2 and function is not np.reciprocal)


def ufunc(builder: ProgramBuilder, transformer: Any, function: Callable[..., Any], told: Any, slot: int) -> int:
    """A new slot with a function of numpy of the slot; UnsupportedEstimator for any other function."""
    if not in_numpy(function) or told:
        names = ", ".join(f"np.{one.__name__}" for one in (*UFUNCS, *OPERATIONS))
        raise unsupported(transformer, f"a function of {names}", getattr(function, "__name__", repr(function)))
    if function in UFUNCS:
        return builder.apply(UFUNCS[function], slot)
    operation, constants = OPERATIONS[function]
    return builder.with_constant(operation, slot, *constants)


def inverse(builder: ProgramBuilder, transformer: Any, slot: int, *, single: bool) -> int:
    """The slot of `inverse_transform`; in float32 after each step where the numbers are in that."""
    name = sklearn_name(transformer)
    if name == "FunctionTransformer":
        if transformer.inverse_func is None:
            return slot
        made = ufunc(builder, transformer, transformer.inverse_func, transformer.inv_kw_args, slot)
        return builder.emit(Op.FLOAT32, made, made) if single else made
    if name == "Pipeline":
        for _, step in reversed(transformer.steps):
            slot = slot if step in (None, "passthrough") else inverse(builder, step, slot, single=single)
        return slot
    if name in ("PowerTransformer", "QuantileTransformer"):
        if single:
            raise unsupported(transformer, "a regressor that answers in float64", "one in float32")
        back = _unpowered if name == "PowerTransformer" else _unquantiled
        return back(builder, transformer, slot)
    return _unscaled(builder, transformer, slot, single=single)


def _unscaled(builder: ProgramBuilder, transformer: Any, slot: int, *, single: bool) -> int:
    name = sklearn_name(transformer)
    # StandardScaler rounds its own numbers as well.
    own = np.float32 if single else np.float64
    steps: list[tuple[Op, Any]] = []
    if name == "StandardScaler":
        steps += [(Op.MULTIPLY, own(transformer.scale_[0]))] if transformer.with_std else []
        steps += [(Op.ADD, own(transformer.mean_[0]))] if transformer.with_mean else []
    elif name == "MinMaxScaler":
        steps += [(Op.SUBTRACT, transformer.min_[0]), (Op.DIVIDE, transformer.scale_[0])]
    elif name == "RobustScaler":
        steps += [(Op.MULTIPLY, transformer.scale_[0])] if transformer.with_scaling else []
        steps += [(Op.ADD, transformer.center_[0])] if transformer.with_centering else []
    elif name == "MaxAbsScaler":
        steps += [(Op.MULTIPLY, transformer.scale_[0])]
    else:
        raise unsupported(transformer, f"one of {', '.join(INVERTED)}")
    for op, constant in steps:
        slot = builder.with_constant(op, slot, constant)
        slot = builder.emit(Op.FLOAT32, slot, slot) if single else slot
    return slot


def _unpowered(builder: ProgramBuilder, transformer: Any, slot: int) -> int:
    """The way back from Box and Cox's, or Yeo and Johnson's, curve."""
    if transformer.standardize:
        slot = inverse(builder, compat.POWER_SCALER.of(transformer), slot, single=False)
    power = float(transformer.lambdas_[0])
    if transformer.method == "box-cox":
        if power == 0:
            return builder.apply(Function.EXP, slot)
        inner = builder.apply(Function.LOG1P, builder.with_constant(Op.MULTIPLY, slot, power))
        return builder.apply(Function.EXP, builder.with_constant(Op.DIVIDE, inner, power))
    above = builder.apply(Function.RELU, slot)
    below = builder.apply(Function.RELU, builder.apply(Function.NEGATIVE, slot))
    curves = _uncurved(builder, above, power), _uncurved(builder, below, 2.0 - power)
    return builder.two(Op.MINUS, *curves)


def _uncurved(builder: ProgramBuilder, slot: int, power: float) -> int:
    """(slot * power + 1) ** (1 / power) - 1, or its limit."""
    if abs(power) < np.spacing(1.0):
        raised = builder.apply(Function.EXP, slot)
    else:
        base = builder.with_constant(Op.ADD, builder.with_constant(Op.MULTIPLY, slot, power), 1.0)
        raised = builder.with_constant(Op.POWER, base, 1.0 / power)
    return builder.with_constant(Op.ADD, raised, -1.0)


def _unquantiled(builder: ProgramBuilder, transformer: Any, slot: int) -> int:
    if transformer.output_distribution != "uniform":
        raise unsupported(transformer, "output_distribution='uniform'", repr(transformer.output_distribution))
    points = np.concatenate([transformer.references_, transformer.quantiles_[:, 0]])
    return builder.emit(Op.INTERPOLATE, slot, builder.new(), builder.constants(points), len(points))
