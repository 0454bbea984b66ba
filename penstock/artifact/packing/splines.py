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
    if transformer.extrapolation == "linear" and transformer.degree < 2 and len(block.columns) > 1:
        # There scikit-learn 1.9 draws the second column's lines from other knots than its ends.
        raise unsupported(transformer, "a degree of 2 or more where lines go on", str(transformer.degree))
    if transformer.degree < 1:
        raise unsupported(transformer, "a degree of 1 or more", str(transformer.degree))
    zeros = getattr(transformer, "handle_missing", "error") == "zeros"
    columns = builder.numbers(transformer, block)
    builder.finite(columns, allow_nan=zeros)
    made: list[Column] = []
    for column, spline in zip(columns, transformer.bsplines_, strict=True):
        slots = _basis(builder, column.slot, spline, transformer.extrapolation)
        slots = slots if transformer.include_bias else slots[:-1]
        if zeros:
            slots = [builder.with_constant(Op.FILL, slot, math.nan, 0.0) for slot in slots]
        made += [Number(slot, column.origin) for slot in slots]
    builder.stored_zeros |= bool(transformer.sparse_output)
    return Block(made, bool(transformer.sparse_output))


def _basis(builder: ProgramBuilder, slot: int, spline: Any, extrapolation: str) -> list[int]:
    knots, degree = spline.t, spline.k
    first, last = float(knots[degree]), float(knots[-degree - 1])
    starts = np.unique(knots[degree : len(knots) - degree - 1])
    if extrapolation == "periodic":
        slot = _wrapped(builder, slot, first, float(knots[len(knots) - degree - 1]))
    elif extrapolation == "constant":
        slot = builder.with_constant(Op.CLIP, slot, first, last)
    pieces = np.stack([_polynomial(spline, start, degree) for start in starts])
    if extrapolation == "linear":
        ends = [
            np.stack([spline(end), spline(end, nu=1)] + [spline(end) * 0] * max(degree - 1, 0)) for end in (first, last)
        ]
        pieces = np.concatenate([ends[:1], _padded(pieces, ends[0]), ends[1:]])
        starts = np.concatenate([[first], starts, [last]])
    # The stretch of a number is how many starts it has reached; before the first, that of the first.
    place = _reached(builder, slot, starts, linear=extrapolation == "linear")
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


def _padded(pieces: Array, like: Array) -> Array:
    """The pieces with zeros for powers that only the lines at the ends have."""
    return np.concatenate([pieces, np.zeros((len(pieces), len(like) - pieces.shape[1], pieces.shape[2]))], axis=1)


def _reached(builder: ProgramBuilder, slot: int, starts: Array, *, linear: bool) -> int:
    """0 for the first stretch. A line takes over below the first knot and above the last, not in them."""
    total = builder.emit(Op.ABOVE, slot, builder.new(), builder.constants(np.inf), 0, 0)
    for at, start in enumerate(starts[1:].tolist(), start=1):
        last = linear and at == len(starts) - 1
        reached = builder.emit(Op.ABOVE, slot, builder.new(), builder.constants(start), 0, int(not last))
        total = builder.two(Op.PLUS, total, reached)
    return total


def _table(builder: ProgramBuilder, place: int, values: Array) -> int:
    return builder.emit(Op.TABLE, place, builder.new(), builder.constants(values), len(values))


def _wrapped(builder: ProgramBuilder, slot: int, first: float, last: float) -> int:
    """first + (slot - first) % (last - first)."""
    beyond = builder.with_constant(Op.SUBTRACT, slot, first)
    turns = builder.emit(Op.FLOOR, builder.with_constant(Op.DIVIDE, beyond, last - first), builder.new())
    whole = builder.with_constant(Op.MULTIPLY, turns, last - first)
    return builder.with_constant(Op.ADD, builder.two(Op.MINUS, beyond, whole), first)
