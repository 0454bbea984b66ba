"""Transformers that make other columns: functions, bins, products, projections, selections, unions."""

from typing import Any

import numpy as np

from penstock.artifact.packing.columns import transform
from penstock.artifact.packing.inverse import EXACT, TO_ZERO, in_double, ufunc
from penstock.artifact.packing.program import Block, Column, Number, ProgramBuilder, Transform, unsupported
from penstock.artifact.packing.projections import PROJECTIONS
from penstock.artifact.packing.splines import splines
from penstock.artifact.program import Op


def _function(builder: ProgramBuilder, transformer: Any, block: Block) -> Block:
    """FunctionTransformer of a function of numpy, or of none."""
    if transformer.func is None:
        return block
    columns = builder.numbers(transformer, block)
    for column in columns:
        dtype = builder.integers.get(column.slot, "float64")
        if not in_double(transformer.func, dtype):
            raise unsupported(transformer, "numbers in float64", dtype)
    if transformer.validate:
        builder.finite(columns, allow_nan=False)
    builder.stored_zeros |= block.sparse and transformer.func in TO_ZERO
    slots = [ufunc(builder, transformer, transformer.func, transformer.kw_args, column.slot) for column in columns]
    if transformer.func not in EXACT:
        builder.mark_rounded(transformer, slots)
    made: list[Column] = [Number(slot, column.origin) for slot, column in zip(slots, columns, strict=True)]
    builder.mark_integers(made, bool if transformer.func is np.isnan else np.float64)
    return Block(made, block.sparse)


def _bins(builder: ProgramBuilder, transformer: Any, block: Block) -> Block:
    """KBinsDiscretizer: how many inner edges a number has reached, as it is or one-hot."""
    if np.dtype(transformer.dtype) != np.float64:  # numbers are rounded to float32 before they are compared
        raise unsupported(transformer, "dtype=None or float64", repr(transformer.dtype))
    columns = builder.numbers(transformer, block)
    builder.finite(columns, allow_nan=False)
    builder.demand_exact(transformer, columns)
    made: list[Column] = []
    for column, edges, count in zip(columns, transformer.bin_edges_, transformer.n_bins_.tolist(), strict=True):
        slot = _zero(builder, column.slot)
        for edge in edges[1:-1].tolist():
            reached = builder.emit(Op.ABOVE, column.slot, builder.new(), builder.constants(edge), 0, 1)
            slot = builder.two(Op.PLUS, slot, reached)
        if transformer.encode == "ordinal":
            made.append(Number(slot, column.origin))
            continue
        first = builder.new(count)
        builder.emit(Op.ONE_HOT, slot, first, builder.constants(range(count)), count, count)
        made += [Number(first + at, column.origin) for at in range(count)]
    return Block(made, transformer.encode == "onehot")


def _zero(builder: ProgramBuilder, slot: int) -> int:
    """A new slot of zeros."""
    return builder.emit(Op.ABOVE, slot, builder.new(), builder.constants(np.inf), 0, 0)


def _products(builder: ProgramBuilder, transformer: Any, block: Block) -> Block:
    """PolynomialFeatures: each product is that of its later factors, times the first, as scikit-learn makes it."""
    columns = builder.numbers(transformer, block)
    builder.finite(columns, allow_nan=False)
    known: dict[tuple[int, ...], int] = {(at,): column.slot for at, column in enumerate(columns)}

    def product(factors: tuple[int, ...]) -> int:
        if factors not in known:
            known[factors] = (
                builder.two(Op.TIMES, product(factors[1:]), columns[factors[0]].slot)
                if factors
                else builder.with_constant(Op.ADD, _zero(builder, columns[0].slot), 1.0)
            )
        return known[factors]

    made: list[Column] = []
    for powers in transformer.powers_.tolist() if transformer.n_output_features_ else []:
        factors = tuple(at for at, power in enumerate(powers) for _ in range(power))
        made.append(Number(product(factors), columns[factors[0] if factors else 0].origin))
    return Block(made, block.sparse)


def _binarizer(builder: ProgramBuilder, binarizer: Any, block: Block) -> Block:
    columns = builder.numbers(binarizer, block)
    builder.finite(columns, allow_nan=False)
    for column in columns:
        builder.emit(Op.ABOVE, column.slot, column.slot, builder.constants(binarizer.threshold))
    return Block(list(columns), block.sparse)


def _selection(builder: ProgramBuilder, selector: Any, block: Block) -> Block:
    """Any selector: the columns that it supports."""
    columns = builder.numbers(selector, block)
    if not selector.__sklearn_tags__().input_tags.allow_nan:  # where NaN is allowed, infinity is
        builder.finite(columns, allow_nan=False)
    return Block([columns[at] for at in selector.get_support(indices=True)], block.sparse)


def _union(builder: ProgramBuilder, union: Any, block: Block) -> Block:
    """FeatureUnion: what each of several transformers makes of the columns, side by side."""
    weights = union.transformer_weights or {}
    made: list[Column] = []
    sparse = False
    for name, part in union.transformer_list:
        if isinstance(part, str) and part == "drop":
            continue
        result = transform(builder, part, builder.fork(block))
        if weights.get(name) is not None:
            for column in builder.numbers(union, result):
                builder.emit(Op.MULTIPLY, column.slot, column.slot, builder.constants(weights[name]))
        made += result.columns
        sparse = sparse or result.sparse
    builder.join(made)
    return Block(made, sparse)


SELECTORS = (
    "GenericUnivariateSelect",
    "RFE",
    "RFECV",
    "SelectFdr",
    "SelectFpr",
    "SelectFromModel",
    "SelectFwe",
    "SelectKBest",
    "SelectPercentile",
    "SequentialFeatureSelector",
    "VarianceThreshold",
)
FEATURES: dict[str, Transform] = {
    "FunctionTransformer": _function,
    "KBinsDiscretizer": _bins,
    "PolynomialFeatures": _products,
    "Binarizer": _binarizer,
    "SplineTransformer": splines,
    "FeatureUnion": _union,
    **PROJECTIONS,
    **dict.fromkeys(SELECTORS, _selection),
}
