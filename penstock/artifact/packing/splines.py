"""SplineTransformer: each basis function as one polynomial per stretch between two knots."""

import math
from typing import Any

import numpy as np

from penstock.artifact.packing.program import Block, Column, Number, ProgramBuilder, unsupported
from penstock.artifact.program import Op

Array = np.ndarray[Any, Any]


def splines(builder: ProgramBuilder, transformer: Any, block: Block) -> Block:
    """The basis functions of each column, side by side; sums in another order than de Boor's."""
    if transformer.extrapolation == "error":
        raise unsupported(transformer, "extrapolation that takes every number", "error")
    if transformer.degree < 1:
        raise unsupported(transformer, "a degree of 1 or more", str(transformer.degree))
    zeros = getattr(transformer, "handle_missing", "error") == "zeros"
    columns = builder.numbers(transformer, block)
    if not (zeros and transformer.extrapolation == "constant"):  # there scikit-learn looks at no number
        builder.finite(columns, allow_nan=zeros)
    made: list[Column] = []
    for at, (column, spline) in enumerate(zip(columns, transformer.bsplines_, strict=True)):
        slots = _basis(builder, column.slot, spline, transformer.extrapolation, first_column=at == 0)
        slots = slots if transformer.include_bias else slots[:-1]
        if transformer.extrapolation == "continue":  # far away, where scikit-learn's sums are of infinities: NaN
            builder.finite([Number(one, column.origin) for one in slots], allow_nan=zeros)
        if zeros:
            slots = [builder.with_constant(Op.FILL, slot, math.nan, 0.0) for slot in slots]
        builder.mark_rounded(transformer, slots)
        made += [Number(slot, column.origin) for slot in slots]
    builder.stored_zeros |= bool(transformer.sparse_output)
    return Block(made, bool(transformer.sparse_output))


def _basis(builder: ProgramBuilder, slot: int, spline: Any, extrapolation: str, *, first_column: bool) -> list[int]:
    knots, degree = spline.t, spline.k
    # scikit-learn 1.9 draws the lines of degree 1 from one knot further in, from the second column on.
    outer = degree if first_column or degree > 1 or extrapolation != "linear" else 2
    if knots[outer] > knots[-outer - 1]:  # two knots: the lines from both are the spline
        outer, extrapolation = degree, "continue"
    first, last = float(knots[outer]), float(knots[-outer - 1])
    starts = np.unique(knots[outer : max(len(knots) - outer - 1, outer + 1)])
    if extrapolation == "periodic" and not last > first:  # scikit-learn takes a constant column for zeros
        nothing = builder.with_constant(Op.MULTIPLY, slot, 0.0)
        return [builder.with_constant(Op.ADD, nothing, value) for value in spline(0.0)]
    if extrapolation == "periodic":
        slot = _wrapped(builder, slot, first, last)
    elif extrapolation == "constant":
        slot = builder.with_constant(Op.CLIP, slot, first, last)
    pieces = np.stack([_polynomial(spline, start, degree) for start in starts])
    if extrapolation == "constant":  # the last knot has the very numbers of scikit-learn: zeros are zeros
        starts = np.append(starts, last)
        pieces = np.concatenate([pieces, np.zeros_like(pieces[:1])])
        pieces[-1, 0] = spline(last)
    if extrapolation == "linear":
        ends = np.zeros((2, degree + 1, pieces.shape[2]))
        for end, at in zip(ends, (first, last), strict=True):
            end[:2] = spline(at), spline(at, nu=1)
        lines = max(degree, 2)  # a line is drawn for so many functions at each end, the others are zero
        ends[0, :, lines:] = ends[1, :, :-lines] = 0.0
        pieces = np.concatenate([ends[:1], pieces, ends[1:]])
        starts = np.concatenate([[first], starts, [last]])
    # The stretch of a number is how many starts it has reached; before the first, that of the first.
    place = _reached(builder, slot, starts)
    origin = _table(builder, place, starts)
    beyond = builder.two(Op.MINUS, slot, origin)
    made = []
    for values in np.moveaxis(pieces, 2, 0):  # (stretches, powers)
        total = _table(builder, place, values[:, -1])
        for power in range(values.shape[1] - 2, -1, -1):
            total = builder.two(Op.TIMES, total, beyond)
            total = builder.two(Op.PLUS, total, _table(builder, place, values[:, power]))
        made.append(total)
    return made


def _polynomial(spline: Any, start: float, degree: int) -> Array:
    """The coefficients (degree + 1, functions) of the powers of the distance from a start."""
    return np.stack([spline(start, nu=power) / math.factorial(power) for power in range(degree + 1)])


def _reached(builder: ProgramBuilder, slot: int, starts: Array) -> int:
    """0 for the first stretch."""
    total = builder.emit(Op.ABOVE, slot, builder.new(), builder.constants(np.inf), 0, 0)
    for start in starts[1:].tolist():
        reached = builder.emit(Op.ABOVE, slot, builder.new(), builder.constants(start), 0, 1)
        total = builder.two(Op.PLUS, total, reached)
    return total


def _table(builder: ProgramBuilder, place: int, values: Array) -> int:
    return builder.emit(Op.TABLE, place, builder.new(), builder.constants(values), len(values))


def _wrapped(builder: ProgramBuilder, slot: int, first: float, last: float) -> int:
    """first + (slot - first) % (last - first)."""
    beyond = builder.with_constant(Op.SUBTRACT, slot, first)
    return builder.with_constant(Op.ADD, builder.with_constant(Op.REMAINDER, beyond, last - first), first)
