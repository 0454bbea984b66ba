"""Scalers of columns and rows beside StandardScaler and MinMaxScaler, and a column made more normal."""

from typing import Any

import numpy as np

from penstock.artifact import compat
from penstock.artifact.functions_numpy import normal_quantile
from penstock.artifact.packing.columns import transform
from penstock.artifact.packing.program import Block, Column, Number, ProgramBuilder, Transform, unsupported
from penstock.artifact.program import Function, Op

_THRESHOLD = 1e-7
"""BOUNDS_THRESHOLD of sklearn/preprocessing/_data.py."""


def _robust(builder: ProgramBuilder, scaler: Any, block: Block) -> Block:
    columns = builder.numbers(scaler, block)
    builder.finite(columns, allow_nan=True)
    for at, column in enumerate(columns):
        if scaler.with_centering:
            builder.emit(Op.SUBTRACT, column.slot, column.slot, builder.constants(scaler.center_[at]))
        if scaler.with_scaling:
            _divide(builder, column, scaler.scale_[at], sparse=block.sparse)
    return Block(list(columns), block.sparse)


def _greatest(builder: ProgramBuilder, scaler: Any, block: Block) -> Block:
    """MaxAbsScaler."""
    columns = builder.numbers(scaler, block)
    builder.finite(columns, allow_nan=True)
    for at, column in enumerate(columns):
        _divide(builder, column, scaler.scale_[at], sparse=block.sparse)
        if getattr(scaler, "clip", False):
            builder.emit(Op.CLIP, column.slot, column.slot, builder.constants([-1.0, 1.0]))
    return Block(list(columns), block.sparse)


def _divide(builder: ProgramBuilder, column: Number, scale: float, *, sparse: bool) -> None:
    """A sparse matrix is multiplied by the reciprocal, a dense one divided: the roundings differ."""
    operation, constant = (Op.MULTIPLY, 1.0 / scale) if sparse else (Op.DIVIDE, scale)
    builder.emit(operation, column.slot, column.slot, builder.constants(constant))


def length(builder: ProgramBuilder, normalizer: Any, block: Block) -> Block:
    """Normalizer, and the `norm` of TfidfTransformer: each row divided by its length."""
    lengths = {"l1": Function.ABSOLUTE, "l2": Function.SQUARE, "max": Function.ABSOLUTE}
    join = Op.GREATER if normalizer.norm == "max" else Op.PLUS
    columns = builder.numbers(normalizer, block)
    builder.finite(columns, allow_nan=False)
    total = -1
    for column in columns:
        part = builder.apply(lengths[normalizer.norm], column.slot)
        total = part if total < 0 else builder.two(join, total, part)
    total = builder.apply(Function.SQRT, total) if normalizer.norm == "l2" else total
    total = builder.with_constant(Op.FILL, total, 0.0, 1.0)
    slots = [builder.two(Op.OVER, one.slot, total) for one in columns]
    if normalizer.norm != "max" and not block.sparse:  # numpy adds a row of a sparse matrix in order, others in pairs
        builder.mark_rounded(normalizer, slots)
    return Block([Number(slot, one.origin) for slot, one in zip(slots, columns, strict=True)], block.sparse)


def _power(builder: ProgramBuilder, transformer: Any, block: Block) -> Block:
    """PowerTransformer by Box and Cox, or by Yeo and Johnson: one curve above zero, one below."""
    columns = builder.numbers(transformer, block)
    positive = transformer.method == "box-cox"
    builder.finite(columns, allow_nan=True, positive=positive)
    made: list[Column] = []
    for column, power in zip(columns, transformer.lambdas_.tolist(), strict=True):
        if positive:
            made.append(Number(_raised(builder, builder.apply(Function.LN, column.slot), power, 1e-19), column.origin))
            continue
        above = builder.apply(Function.RELU, column.slot)
        below = builder.apply(Function.RELU, builder.apply(Function.NEGATIVE, column.slot))
        curves = _curve(builder, above, power), _curve(builder, below, 2.0 - power)
        made.append(Number(builder.two(Op.MINUS, *curves), column.origin))
    builder.mark_rounded(transformer, [one.slot for one in made if isinstance(one, Number)])
    if not transformer.standardize:
        return Block(made, block.sparse)
    return transform(builder, compat.POWER_SCALER.of(transformer), Block(made, block.sparse))


def _curve(builder: ProgramBuilder, slot: int, power: float) -> int:
    """((slot + 1) ** power - 1) / power, or its limit."""
    return _raised(builder, builder.apply(Function.LOG1P, slot), power, 2.220446049250313e-16)


def _raised(builder: ProgramBuilder, logarithm: int, power: float, near: float) -> int:
    """(exp(logarithm) ** power - 1) / power, or its limit where the power is near zero."""
    if abs(power) < near:
        return logarithm
    raised = builder.apply(Function.EXPM1, builder.with_constant(Op.MULTIPLY, logarithm, power))
    return builder.with_constant(Op.DIVIDE, raised, power)


def _quantiles(builder: ProgramBuilder, transformer: Any, block: Block) -> Block:
    """QuantileTransformer: the mean of the lines from below and from above, or the normal quantile of it.

    What a sparse matrix does not hold stays zero.
    """
    if block.sparse and builder.stored_zeros:
        raise unsupported(transformer, "a sparse matrix without stored zeros", "one with them")
    normal = transformer.output_distribution == "normal"
    columns = builder.numbers(transformer, block)
    builder.finite(columns, allow_nan=True)
    builder.demand_exact(transformer, columns)
    builder.stored_zeros |= block.sparse
    made: list[Column] = []
    references = transformer.references_
    for column, quantiles in zip(columns, transformer.quantiles_.T, strict=True):
        below = _line(builder, column.slot, np.concatenate([quantiles, references]))
        negated = builder.apply(Function.NEGATIVE, column.slot)
        above = _line(builder, negated, np.concatenate([-quantiles[::-1], -references[::-1]]))
        middle = builder.with_constant(Op.MULTIPLY, builder.two(Op.MINUS, below, above), 0.5)
        # 1 from the last quantile on, 0 up to the first; both within the threshold where it is normal.
        slots = column.slot, column.slot
        if normal:
            slots = _moved(builder, column.slot)
        last = builder.emit(Op.ABOVE, slots[0], builder.new(), builder.constants(quantiles[-1]), 0, int(not normal))
        rest = builder.with_constant(Op.ADD, builder.apply(Function.NEGATIVE, last), 1.0)
        capped = builder.two(Op.PLUS, builder.two(Op.TIMES, middle, rest), last)
        first = builder.emit(Op.ABOVE, slots[1], builder.new(), builder.constants(quantiles[0]), 0, int(normal))
        slot = builder.two(Op.TIMES, capped, first)
        slot = _as_normal(builder, slot) if normal else slot
        if block.sparse:
            zero = builder.with_constant(Op.MISSING, column.slot, 0.0)
            held = builder.with_constant(Op.ADD, builder.apply(Function.NEGATIVE, zero), 1.0)
            slot = builder.two(Op.TIMES, slot, held)
        made.append(Number(slot, column.origin))
    return Block(made, block.sparse)


def _moved(builder: ProgramBuilder, slot: int) -> tuple[int, int]:
    up, down = (builder.with_constant(Op.ADD, slot, by) for by in (_THRESHOLD, -_THRESHOLD))
    return up, down


def _as_normal(builder: ProgramBuilder, slot: int) -> int:
    """Clipped as scikit-learn clips it, so that no end is infinite."""
    slot = builder.apply(Function.NORMAL_QUANTILE, slot)
    near = _THRESHOLD - np.spacing(1)
    return builder.with_constant(Op.CLIP, slot, normal_quantile(near), normal_quantile(1 - near))


def _line(builder: ProgramBuilder, slot: int, points: Any) -> int:
    return builder.emit(Op.INTERPOLATE, slot, builder.new(), builder.constants(points), len(points))


SCALERS: dict[str, Transform] = {
    "RobustScaler": _robust,
    "MaxAbsScaler": _greatest,
    "Normalizer": length,
    "PowerTransformer": _power,
    "QuantileTransformer": _quantiles,
}
