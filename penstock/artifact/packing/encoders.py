"""Encoders to tables: what each category, None, NaN and an unknown one become."""

import math
from typing import Any

import numpy as np

from penstock.artifact import compat
from penstock.artifact.packing.program import Block, Column, Number, ProgramBuilder, Text, unsupported
from penstock.artifact.program import Op

Array = np.ndarray[Any, Any]


def codes(
    builder: ProgramBuilder, encoder: Any, column: Column, categories: Array, rejects: bool
) -> tuple[int, list[int | None]]:
    """The slot of a column's codes, and for each code the place of its category (None where it has none)."""
    if isinstance(column, Text):
        slot, places = _text_codes(builder, encoder, column, categories)
    else:
        slot, places = _number_codes(builder, encoder, column, categories)
    if rejects:
        start = builder.constants([place is not None for place in places])
        builder.emit(Op.KNOWN, slot, slot, start, len(places), column.origin)
    return slot, places


def _text_codes(builder: ProgramBuilder, encoder: Any, column: Text, categories: Array) -> tuple[int, list[int | None]]:
    """None and NaN both mean missing: where the encoder has seen only one of them, it stands for both."""
    strings: dict[str, int] = {}
    none: int | None = None
    nan: int | None = None
    for place, value in enumerate(categories.tolist()):
        if isinstance(value, str):
            strings[value] = place
        elif value is None:
            none = place
        elif isinstance(value, float) and math.isnan(value):
            nan = place
        else:
            name = builder.name(column.origin)
            raise unsupported(encoder, f"text categories for the text feature {name!r}", repr(value))
    if column.fill is not None:  # an imputer that fills NaN leaves None, which the encoder then knows
        nan = strings.get(column.fill)
    none, nan = (nan if none is None else none), (none if nan is None else nan)
    return builder.text(column.origin, list(strings)), [*strings.values(), none, nan, None]


def _number_codes(
    builder: ProgramBuilder, encoder: Any, column: Number, categories: Array
) -> tuple[int, list[int | None]]:
    builder.finite([column], allow_nan=True)
    builder.demand_exact(encoder, [column])
    values: dict[float, int] = {}
    nan: int | None = None
    for place, value in enumerate(categories.tolist()):
        if not isinstance(value, bool | int | float):
            name = builder.name(column.origin)
            raise unsupported(encoder, f"numeric categories for the number feature {name!r}", repr(value))
        if math.isnan(value):
            nan = place
        elif float(value) != value:
            raise unsupported(encoder, "categories that a float64 can hold", repr(value))
        else:
            values[float(value)] = place
    ordered = sorted(values)
    slot = builder.emit(Op.CODE, column.slot, builder.new(), builder.constants(ordered), len(ordered))
    return slot, [*(values[value] for value in ordered), nan, None]


def ordinal(builder: ProgramBuilder, encoder: Any, block: Block) -> Block:
    """OrdinalEncoder: missing, infrequent and unknown categories as it was told to encode them."""
    _check_dtype(encoder)
    made: list[Column] = []
    for at, (column, categories) in enumerate(zip(block.columns, encoder.categories_, strict=True)):
        slot, places = codes(builder, encoder, column, categories, encoder.handle_unknown == "error")
        grouping = _grouping(encoder, at, len(categories))
        missing = compat.MISSING_PLACES.of(encoder).get(at)
        unknown = encoder.unknown_value if encoder.handle_unknown == "use_encoded_value" else 0
        table = [
            unknown if place is None else encoder.encoded_missing_value if place == missing else grouping[place]
            for place in places
        ]
        start = builder.constants(np.array(table).astype(encoder.dtype).astype(np.float64))
        made.append(Number(builder.emit(Op.TABLE, slot, builder.new(), start, len(table)), column.origin))
    builder.mark_integers(made, encoder.dtype)
    return Block(made, sparse=False)


def one_hot(builder: ProgramBuilder, encoder: Any, block: Block) -> Block:
    """OneHotEncoder: dropped, infrequent and unknown categories as it treats them."""
    _check_dtype(encoder)
    dropped = compat.DROPPED.of(encoder)
    made: list[Column] = []
    for at, (column, categories) in enumerate(zip(block.columns, encoder.categories_, strict=True)):
        slot, places = codes(builder, encoder, column, categories, encoder.handle_unknown == "error")
        grouping = _grouping(encoder, at, len(categories))
        infrequent = compat.INFREQUENT.of(encoder)[at] if compat.GROUPS_INFREQUENT.of(encoder) else None
        grouped = encoder.handle_unknown in ("infrequent_if_exist", "warn") and infrequent is not None
        unknown = grouping[infrequent[0]] if grouped and infrequent is not None else None
        hot = [unknown if place is None else grouping[place] for place in places]
        drop = None if dropped is None else dropped[at]
        if drop is not None:
            hot = [None if h is None or h == drop else h - (h > drop) for h in hot]
        width = int(compat.WIDTHS.of(encoder)[at])
        if width == 0:
            continue
        start = builder.constants([-1 if h is None else h for h in hot])
        first = builder.new(width)
        builder.emit(Op.ONE_HOT, slot, first, start, len(hot), width)
        made += [Number(first + j, column.origin) for j in range(width)]
    builder.mark_integers(made, encoder.dtype)
    return Block(made, sparse=bool(encoder.sparse_output))


def target(builder: ProgramBuilder, encoder: Any, block: Block) -> Block:
    """TargetEncoder: one table per column, or per column and class; unknown is the target's mean."""
    made: list[Column] = []
    classes = len(encoder.classes_) if encoder.target_type_ == "multiclass" else 1
    means = np.broadcast_to(encoder.target_mean_, (classes,))
    for at, (column, categories) in enumerate(zip(block.columns, encoder.categories_, strict=True)):
        slot, places = codes(builder, encoder, column, categories, rejects=False)
        for k in range(classes):
            encoding = encoder.encodings_[at * classes + k]
            start = builder.constants([means[k] if place is None else encoding[place] for place in places])
            made.append(Number(builder.emit(Op.TABLE, slot, builder.new(), start, len(places)), column.origin))
    return Block(made, sparse=False)


def _grouping(encoder: Any, at: int, count: int) -> list[int]:
    """The output of each category once infrequent ones are grouped; a missing one may be left out at the end."""
    mapping = compat.TO_INFREQUENT.of(encoder)[at] if compat.GROUPS_INFREQUENT.of(encoder) else None
    if mapping is None:
        return list(range(count))
    grouped = [int(value) for value in mapping]
    return grouped + [len(grouped)] * (count - len(grouped))


def _check_dtype(encoder: Any) -> None:
    if np.dtype(encoder.dtype).kind not in "iub" and np.dtype(encoder.dtype) != np.float64:
        raise unsupported(encoder, "dtype float64 or an integer one", repr(encoder.dtype))
