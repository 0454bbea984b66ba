"""Transformers to instructions: each fitted scikit-learn transformer as operations on single columns."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_tools.contract import Feature
from model_tools.errors import UnsupportedEstimator
from model_tools.packing_model import sklearn_name
from model_tools.program import Op

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Number:
    """A column of numbers in a slot, made from the feature `origin`."""

    slot: int
    origin: int


@dataclass(frozen=True)
class Text:
    """A text feature that is not encoded yet; `fill` stands for missing values once an imputer has been there."""

    origin: int
    fill: str | None = None


Column = Number | Text


@dataclass(frozen=True)
class Block:
    """The columns between two steps, in order, and whether scikit-learn holds them as a sparse matrix there."""

    columns: list[Column]
    sparse: bool


class ProgramBuilder:
    """Collects the instructions, constants and dictionaries of one model."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self._features = tuple(features)
        self._program: list[tuple[int, int, int, int, int, int]] = []
        self._constants: list[Array] = []
        self._count = 0
        self._texts: list[list[str]] = []
        self.slots = 0

    def features(self) -> list[Column]:
        """All features, numbers loaded into a slot each."""
        return [
            Number(self.emit(Op.NUMBER, at, self.new()), at) if feature.kind == "number" else Text(at)
            for at, feature in enumerate(self._features)
        ]

    def name(self, origin: int) -> str:
        """The feature's name, for messages."""
        return self._features[origin].name

    def new(self, width: int = 1) -> int:
        """The first of `width` new slots."""
        self.slots += width
        return self.slots - width

    def emit(self, op: Op, source: int, target: int, *operands: int) -> int:
        """Append one instruction, with `start`, `count` and `extra` where it has them, and give its target."""
        start, count, extra = (*operands, 0, 0, 0)[:3]
        self._program.append((int(op), source, target, start, count, extra))
        return target

    def constants(self, values: Any) -> int:
        """Where the values are among the constants."""
        array = np.asarray(values, dtype=np.float64).ravel()
        self._constants.append(array)
        self._count += len(array)
        return self._count - len(array)

    def copy(self, column: Number) -> Number:
        """The column in a slot of its own, as instructions on numbers work in place."""
        return Number(self.emit(Op.COPY, column.slot, self.new()), column.origin)

    def text(self, origin: int, known: list[str]) -> int:
        """The slot of a text feature's codes."""
        self._texts.append(known)
        return self.emit(Op.TEXT, origin, self.new(), len(self._texts) - 1)

    def finite(self, columns: Sequence[Column], *, allow_nan: bool) -> None:
        """Refuse what scikit-learn's input checks refuse."""
        for column in columns:
            if isinstance(column, Number):
                self.emit(Op.FINITE, column.slot, column.slot, int(allow_nan), 0, column.origin)

    def numbers(self, estimator: Any, block: Block) -> list[Number]:
        """The block's columns if all are numbers, else UnsupportedEstimator naming the text feature."""
        made: list[Number] = []
        for column in block.columns:
            if isinstance(column, Text):
                raise unsupported(estimator, f"encoded columns, not the text feature {self.name(column.origin)!r}")
            made.append(column)
        return made

    def arrays(self) -> dict[str, Array]:
        """The arrays of the column program."""
        encoded = [text.encode("utf-8", "surrogatepass") for known in self._texts for text in known]
        return {
            "program": np.array(self._program, dtype=np.int64).reshape(-1, 6),
            "constants": np.concatenate(self._constants) if self._constants else np.empty(0),
            "text_sizes": np.array([len(known) for known in self._texts], dtype=np.int64),
            "text_ends": np.cumsum([len(text) for text in encoded], dtype=np.int64),
            "text_bytes": np.frombuffer(b"".join(encoded), dtype=np.uint8),
        }


def unsupported(thing: Any, expected: str, found: str = "") -> UnsupportedEstimator:
    """The error that sends packing to the fallback."""
    return UnsupportedEstimator(f"{type(thing).__name__}", expected=expected, found=found)


def transform(builder: ProgramBuilder, transformer: Any, block: Block) -> Block:
    """The block after one fitted transformer; UnsupportedEstimator for one that is not known."""
    from model_tools.packing_encoders import one_hot, ordinal, target

    known: dict[str, Callable[[ProgramBuilder, Any, Block], Block]] = {
        "Pipeline": _pipeline,
        "ColumnTransformer": _column_transformer,
        "FunctionTransformer": _passthrough,
        "SimpleImputer": _imputer,
        "StandardScaler": _standard,
        "MinMaxScaler": _min_max,
        "OrdinalEncoder": ordinal,
        "OneHotEncoder": one_hot,
        "TargetEncoder": target,
    }
    if transformer is None or isinstance(transformer, str):
        if transformer in (None, "passthrough"):
            return block
        raise unsupported(transformer, "a transformer", repr(transformer))
    name = sklearn_name(transformer)
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
        places = transformer._transformer_to_input_indices[name]
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
    return Block(made, bool(transformer.sparse_output_))


def _passthrough(_: ProgramBuilder, transformer: Any, block: Block) -> Block:
    if transformer.func is not None:
        raise unsupported(transformer, "no function (passthrough)", repr(transformer.func))
    return block


def _imputer(builder: ProgramBuilder, imputer: Any, block: Block) -> Block:
    marker = imputer.missing_values
    nan = _is_missing(marker)
    builder.finite(block.columns, allow_nan=nan)
    fills = _fills(imputer)
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
    statistics = imputer.statistics_
    keep = imputer.keep_empty_features
    return [
        None if not keep and _is_missing(value) else np.asarray([value]).astype(imputer._fill_dtype)[0]
        for value in statistics
    ]


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
