"""Scalers of columns and rows beside StandardScaler and MinMaxScaler, and a column made more normal."""

from typing import Any

import numpy as np

from penstock.artifact import compat
from penstock.artifact.packing.columns import Transform, transform
from penstock.artifact.packing.program import Block, Column, Number, ProgramBuilder, unsupported
from penstock.artifact.program import Function, Op


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


def _length(builder: ProgramBuilder, normalizer: Any, block: Block) -> Block:
    """Normalizer: each row divided by its length."""
    lengths = {"l1": Function.ABSOLUTE, "l2": Function.SQUARE}
    if normalizer.norm not in lengths:
        raise unsupported(normalizer, "norm 'l1' or 'l2'", repr(normalizer.norm))
    columns = builder.numbers(normalizer, block)
    builder.finite(columns, allow_nan=False)
    total = -1
    for column in columns:
        part = builder.apply(lengths[normalizer.norm], column.slot)
        total = part if total < 0 else builder.two(Op.PLUS, total, part)
    total = builder.apply(Function.SQRT, total) if normalizer.norm == "l2" else total
    total = builder.with_constant(Op.FILL, total, 0.0, 1.0)
    return Block([Number(builder.two(Op.OVER, one.slot, total), one.origin) for one in columns], block.sparse)


def _power(builder: ProgramBuilder, transformer: Any, block: Block) -> Block:
    """PowerTransformer by Yeo and Johnson: one curve above zero, one below, each zero on the other side."""
    if transformer.method != "yeo-johnson":
        raise unsupported(transformer, "method='yeo-johnson'", repr(transformer.method))
    columns = builder.numbers(transformer, block)
    builder.finite(columns, allow_nan=True)
    made: list[Column] = []
    for column, power in zip(columns, transformer.lambdas_.tolist(), strict=True):
        above = builder.apply(Function.RELU, column.slot)
        below = builder.apply(Function.RELU, builder.apply(Function.NEGATIVE, column.slot))
        curves = _curve(builder, above, power), _curve(builder, below, 2.0 - power)
        made.append(Number(builder.two(Op.MINUS, *curves), column.origin))
    if not transformer.standardize:
        return Block(made, block.sparse)
    return transform(builder, compat.POWER_SCALER.of(transformer), Block(made, block.sparse))


def _curve(builder: ProgramBuilder, slot: int, power: float) -> int:
    """((slot + 1) ** power - 1) / power, or its limit."""
    logarithm = builder.apply(Function.LOG1P, slot)
    if abs(power) < 2.220446049250313e-16:
        return logarithm
    raised = builder.apply(Function.EXPM1, builder.with_constant(Op.MULTIPLY, logarithm, power))
    return builder.with_constant(Op.DIVIDE, raised, power)


def _quantiles(builder: ProgramBuilder, transformer: Any, block: Block) -> Block:
    """QuantileTransformer to a uniform distribution: the mean of the lines from below and from above."""
    if transformer.output_distribution != "uniform":
        raise unsupported(transformer, "output_distribution='uniform'", repr(transformer.output_distribution))
    columns = builder.numbers(transformer, block)
    builder.finite(columns, allow_nan=True)
    made: list[Column] = []
    references = transformer.references_
    for column, quantiles in zip(columns, transformer.quantiles_.T, strict=True):
        below = _line(builder, column.slot, np.concatenate([quantiles, references]))
        negated = builder.apply(Function.NEGATIVE, column.slot)
        above = _line(builder, negated, np.concatenate([-quantiles[::-1], -references[::-1]]))
        middle = builder.with_constant(Op.MULTIPLY, builder.two(Op.MINUS, below, above), 0.5)
        # 1 from the last quantile on, 0 up to the first.
        last = builder.emit(Op.ABOVE, column.slot, builder.new(), builder.constants(quantiles[-1]), 0, 1)
        rest = builder.with_constant(Op.ADD, builder.apply(Function.NEGATIVE, last), 1.0)
        capped = builder.two(Op.PLUS, builder.two(Op.TIMES, middle, rest), last)
        first = builder.emit(Op.ABOVE, column.slot, builder.new(), builder.constants(quantiles[0]), 0, 0)
        made.append(Number(builder.two(Op.TIMES, capped, first), column.origin))
    return Block(made, block.sparse)


def _line(builder: ProgramBuilder, slot: int, points: Any) -> int:
    return builder.emit(Op.INTERPOLATE, slot, builder.new(), builder.constants(points), len(points))


SCALERS: dict[str, Transform] = {
    "RobustScaler": _robust,
    "MaxAbsScaler": _greatest,
    "Normalizer": _length,
    "PowerTransformer": _power,
    "QuantileTransformer": _quantiles,
}
