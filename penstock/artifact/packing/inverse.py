"""Functions of numpy, and the way back from a transformed target."""

from collections.abc import Callable
from typing import Any

import numpy as np

from penstock.artifact.packing.model import sklearn_name
from penstock.artifact.packing.program import ProgramBuilder, unsupported
from penstock.artifact.program import Function, Op

UFUNCS: dict[Any, Function] = {
    np.exp: Function.EXP,
    np.expm1: Function.EXPM1,
    np.log: Function.LN,
    np.log1p: Function.LOG1P,
    np.log2: Function.LOG2,
    np.log10: Function.LOG10,
    np.sqrt: Function.SQRT,
    np.square: Function.SQUARE,
    np.abs: Function.ABSOLUTE,
    np.tanh: Function.TANH,
    np.reciprocal: Function.RECIPROCAL,
    np.negative: Function.NEGATIVE,
}


def in_numpy(function: Any) -> bool:
    """Whether it is one of UFUNCS."""
    return isinstance(function, np.ufunc) and function in UFUNCS


def ufunc(builder: ProgramBuilder, transformer: Any, function: Callable[..., Any], told: Any, slot: int) -> int:
    """A new slot with a function of numpy of the slot; UnsupportedEstimator for any other function."""
    if not in_numpy(function) or told:
        names = ", ".join(f"np.{one.__name__}" for one in UFUNCS)
        raise unsupported(transformer, f"a function of {names}", getattr(function, "__name__", repr(function)))
    return builder.apply(UFUNCS[function], slot)


def inverse(builder: ProgramBuilder, transformer: Any, slot: int, *, single: bool) -> int:
    """The slot of `inverse_transform`; in float32 after each step where the numbers are in that."""
    name = sklearn_name(transformer)
    if name == "FunctionTransformer":
        if transformer.inverse_func is None:
            return slot
        made = ufunc(builder, transformer, transformer.inverse_func, transformer.inv_kw_args, slot)
        return builder.emit(Op.FLOAT32, made, made) if single else made
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
    else:
        raise unsupported(transformer, "FunctionTransformer, StandardScaler, MinMaxScaler or RobustScaler")
    for op, constant in steps:
        slot = builder.with_constant(op, slot, constant)
        slot = builder.emit(Op.FLOAT32, slot, slot) if single else slot
    return slot
