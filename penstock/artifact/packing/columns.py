"""Transformers to instructions: each fitted scikit-learn transformer as operations on single columns."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from penstock.artifact import compat
from penstock.artifact.packing.model import sklearn_name
from penstock.artifact.packing.program import Block, Column, Number, ProgramBuilder, Text, Transform, unsupported
from penstock.artifact.program import Op


def transform(builder: ProgramBuilder, transformer: Any, block: Block) -> Block:
    """The block after one fitted transformer; UnsupportedEstimator for one that is not known."""
    if transformer is None or isinstance(transformer, str):
        if transformer in (None, "passthrough"):
            return block
        raise unsupported(transformer, "a transformer", repr(transformer))
    name, known = sklearn_name(transformer), builder.families.transformers
    if name not in known:
        raise unsupported(transformer, f"one of {', '.join(known)}")
    return known[name](builder, transformer, block)


def _pipeline(builder: ProgramBuilder, pipeline: Any, block: Block) -> Block:
    for _, step in pipeline.steps:
        block = transform(builder, step, block)
    return block


def _column_transformer(builder: ProgramBuilder, transformer: Any, block: Block) -> Block:
    """Columns that two transformers take are copied, so that one does not see what the other has done."""
    made: list[Column] = []
    weights = transformer.transformer_weights or {}
    for name, part, _ in transformer.transformers_:
        places = compat.INPUT_PLACES.of(transformer)[name]
        if (isinstance(part, str) and part == "drop") or len(places) == 0:
            continue
        taken = [block.columns[at] for at in places]
        own: list[Column] = [builder.copy(column) if isinstance(column, Number) else column for column in taken]
        result = transform(builder, part, Block(own, block.sparse))
        if weights.get(name) is not None:
            weight = builder.constants(weights[name])
            for column in builder.numbers(transformer, result):
                builder.emit(Op.MULTIPLY, column.slot, column.slot, weight)
        made += result.columns
    builder.join(made)
    return Block(made, bool(transformer.sparse_output_))


def _imputer(builder: ProgramBuilder, imputer: Any, block: Block) -> Block:
    marker = imputer.missing_values
    nan = _is_missing(marker)
    builder.finite(block.columns, allow_nan=nan)
    fills = _fills(imputer)
    builder.stored_zeros |= block.sparse and 0 in fills
    indicated = [] if imputer.indicator_ is None else [int(at) for at in imputer.indicator_.features_]
    if imputer.indicator_ is not None and imputer.indicator_.features == "all":
        indicated = list(range(len(block.columns)))
    indicators = [_indicator(builder, imputer, block.columns[at], nan) for at in indicated]
    made = [
        _filled(builder, imputer, column, fill, nan)
        for column, fill in zip(block.columns, fills, strict=True)
        if fill is not None
    ]
    return Block(made + indicators, block.sparse)


def _fills(imputer: Any) -> list[Any]:
    """The filling value per column as `SimpleImputer.transform` casts it, None where it drops the column."""
    statistics = list(imputer.statistics_)
    if any(value is None for value in statistics):
        raise unsupported(imputer, "a value that fills a column", "None, its most frequent one")
    keep, dtype = imputer.keep_empty_features, compat.FILL_DTYPE.of(imputer)
    return [None if not keep and _is_missing(one) else np.asarray([one]).astype(dtype)[0] for one in statistics]


def _is_missing(value: Any) -> bool:
    """Whether it is None, NaN or pandas' NA."""
    return value is None or type(value).__name__ == "NAType" or (isinstance(value, float) and math.isnan(value))


def _filled(builder: ProgramBuilder, imputer: Any, column: Column, fill: Any, nan: bool) -> Column:
    if isinstance(column, Text):
        if not nan or not isinstance(fill, str):
            raise unsupported(imputer, "missing text to be filled with text", f"{imputer.missing_values!r}, {fill!r}")
        return Text(column.origin, fill if column.fill is None else column.fill)
    if isinstance(fill, str):
        raise unsupported(imputer, f"a number for the feature {builder.name(column.origin)!r}", repr(fill))
    start = builder.constants([np.nan if nan else imputer.missing_values, fill])
    return Number(builder.emit(Op.FILL, column.slot, column.slot, start), column.origin)


def _indicator(builder: ProgramBuilder, imputer: Any, column: Column, nan: bool) -> Column:
    if isinstance(column, Number):
        start = builder.constants(np.nan if nan else imputer.missing_values)
        return Number(builder.emit(Op.MISSING, column.slot, builder.new(), start), column.origin)
    if not nan or column.fill is not None:
        raise unsupported(imputer, "missing text to be indicated")
    codes = builder.text(column.origin, [])
    slot = builder.emit(Op.TABLE, codes, builder.new(), builder.constants([1.0, 1.0, 0.0]), 3)
    return Number(slot, column.origin)


def _missing_indicator(builder: ProgramBuilder, indicator: Any, block: Block) -> Block:
    """MissingIndicator: 1 where a value is missing. It may refuse what was never missing in training."""
    nan = _is_missing(indicator.missing_values)
    places = [int(at) for at in indicator.features_]
    strict = indicator.features == "missing-only" and indicator.error_on_new
    for at, column in enumerate(block.columns):
        refuses = strict and at not in places
        builder.finite([column], allow_nan=nan and not refuses)
        if refuses and isinstance(column, Text) and column.fill is None:
            _refuse(builder, column, builder.text(column.origin, []), [0.0, 0.0, 1.0])
        elif refuses and isinstance(column, Number) and not nan:
            marker = builder.constants(indicator.missing_values)
            _refuse(builder, column, builder.emit(Op.CODE, column.slot, builder.new(), marker, 1), [0.0, 1.0, 1.0])
    made = [_indicator(builder, indicator, block.columns[at], nan) for at in places]
    builder.mark_integers(made, bool)
    sparse = block.sparse if indicator.sparse == "auto" else bool(indicator.sparse)
    return Block(made, sparse)


def _refuse(builder: ProgramBuilder, column: Column, codes: int, taken: list[float]) -> None:
    """Refuse rows whose code has no 1 in `taken`."""
    builder.emit(Op.KNOWN, codes, codes, builder.constants(taken), len(taken), column.origin)


def _standard(builder: ProgramBuilder, scaler: Any, block: Block) -> Block:
    """A sparse matrix is multiplied by the reciprocal, a dense one divided: the roundings differ."""
    columns = builder.numbers(scaler, block)
    builder.finite(columns, allow_nan=True)
    for at, column in enumerate(columns):
        if scaler.with_mean:
            builder.emit(Op.SUBTRACT, column.slot, column.slot, builder.constants(scaler.mean_[at]))
        if scaler.with_std and block.sparse:
            builder.emit(Op.MULTIPLY, column.slot, column.slot, builder.constants(1 / scaler.scale_[at]))
        elif scaler.with_std:
            builder.emit(Op.DIVIDE, column.slot, column.slot, builder.constants(scaler.scale_[at]))
    return Block(list(columns), block.sparse)


def _min_max(builder: ProgramBuilder, scaler: Any, block: Block) -> Block:
    columns = builder.numbers(scaler, block)
    builder.finite(columns, allow_nan=True)
    for at, column in enumerate(columns):
        builder.emit(Op.MULTIPLY, column.slot, column.slot, builder.constants(scaler.scale_[at]))
        builder.emit(Op.ADD, column.slot, column.slot, builder.constants(scaler.min_[at]))
        if scaler.clip:
            builder.emit(Op.CLIP, column.slot, column.slot, builder.constants(scaler.feature_range))
    return Block(list(columns), block.sparse)


COLUMNS: Mapping[str, Transform] = {
    "Pipeline": _pipeline,
    "FrozenEstimator": lambda builder, frozen, block: transform(builder, frozen.estimator, block),
    "ColumnTransformer": _column_transformer,
    "SimpleImputer": _imputer,
    "MissingIndicator": _missing_indicator,
    "StandardScaler": _standard,
    "MinMaxScaler": _min_max,
}
