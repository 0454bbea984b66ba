"""What LightGBM's and XGBoost's trees have in common: numbers and categories of the inputs, and the nodes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from penstock.artifact.file import NODE
from penstock.artifact.packing.preorder import in_preorder, preordered
from penstock.artifact.packing.program import Block, Column, Number, ProgramBuilder, Text, unsupported
from penstock.artifact.program import CATEGORY, FEATURE, LEAF, MISSING_LEFT, Op

Array = np.ndarray[Any, Any]
SET_BITS = 256


@dataclass(frozen=True)
class BoosterTree:
    """One tree of n nodes in any order, the first of them the root. Each array has the shape (n,).

    - `left`, `right`: numbers of the children, -1 at a leaf. `leaf_number`: what the library calls the leaf.
    - `value`: a leaf's value, or the greatest number that goes left. `slot`: of the number or code that is asked.
    - `missing_left`: whether NaN goes left. `sets`: node -> the categories that go left, where it asks for those.
    - `cover`: the training rows, or their weights, that reached each node; none where the library does not say.
    """

    left: Array
    right: Array
    value: Array
    slot: Array
    missing_left: Array
    leaf_number: Array
    sets: dict[int, frozenset[int]] = field(default_factory=dict)
    cover: Array | None = None


@dataclass(frozen=True)
class Codes:
    """A feature's categories as the nodes' sets number them: its `slot`, and the categories that any set knows.

    NaN has the number behind the last, a category that no set knows the one after it.
    """

    slot: int
    known: tuple[int, ...]


def category_numbers(builder: ProgramBuilder, estimator: Any, column: Column, categories: Sequence[Any]) -> Number:
    """The place of each value among a frame's categories; NaN where it is missing, or not one of them."""
    name = builder.name(column.origin)
    if isinstance(column, Text):
        if column.fill is not None or not all(isinstance(value, str) for value in categories):
            raise unsupported(estimator, f"text categories for the text feature {name!r}")
        slot, places = builder.text(column.origin, list(categories)), [*range(len(categories)), *[math.nan] * 3]
    else:
        if not all(isinstance(value, bool | int | float | np.number | np.bool_) for value in categories):
            raise unsupported(estimator, f"numeric categories for the number feature {name!r}")
        values = np.array([float(value) for value in categories])
        order = np.argsort(values)
        slot = builder.emit(Op.CODE, column.slot, builder.new(), builder.constants(values[order]), len(values))
        places = [*order.tolist(), math.nan, math.nan]
    return Number(builder.emit(Op.TABLE, slot, builder.new(), builder.constants(places), len(places)), column.origin)


def encode(builder: ProgramBuilder, column: Number, used: frozenset[int], rounding: Op) -> Codes:
    """A column of category numbers, rounded as the library rounds them, as codes."""
    known = tuple(sorted(used))
    slot = builder.emit(rounding, column.slot, builder.new())
    builder.emit(Op.CODE, slot, slot, builder.constants(known), len(known))
    return Codes(slot, known)


def bitsets(codes: Sequence[tuple[Codes, frozenset[int], bool, bool]]) -> Array:
    """One row per set, as wide as the widest needs: (codes, categories that go left, NaN left, unknown left)."""
    widest = max(len(one.known) for one, *_ in codes) + 2
    words = -(-widest // SET_BITS) * (SET_BITS // 32)
    made = np.zeros((len(codes), words * 32), dtype=bool)
    for row, (one, left, missing, unknown) in zip(made, codes, strict=True):
        row[: len(one.known) + 2] = [*(category in left for category in one.known), missing, unknown]
    return np.packbits(made, axis=1, bitorder="little").view(np.dtype("<u4")).astype(np.uint32)


def booster_arrays(
    estimator: Any, trees: Sequence[BoosterTree], codes: dict[int, Codes], *, unknown_left: bool
) -> dict[str, Array]:
    """The nodes, roots and sets of the trees. `codes` are those of the slots that sets are asked about."""
    parts: list[Array] = []
    covers: list[Array] = []
    sets: list[tuple[Codes, frozenset[int], bool, bool]] = []
    for tree in trees:
        leaf = tree.left < 0
        nodes = np.empty(len(leaf), dtype=NODE)
        nodes["value"], nodes["link"] = tree.value, tree.leaf_number
        nodes["feature"] = np.where(leaf, LEAF, tree.slot | tree.missing_left * MISSING_LEFT)
        for at, left in tree.sets.items():
            one = codes[int(tree.slot[at])]
            nodes["feature"][at] = one.slot | CATEGORY
            nodes["value"][at] = np.array([len(sets)], dtype=np.uint64).view(np.float64)[0]
            sets.append((one, left, bool(tree.missing_left[at]), unknown_left))
        parts.append(preordered(nodes, tree.left, tree.right))
        if tree.cover is not None:
            covers.append(in_preorder(tree.cover, tree.left, tree.right))
    if not parts:
        raise unsupported(estimator, "at least one tree", "none")
    if max((int(tree.slot.max()) for tree in trees), default=0) > FEATURE:
        raise unsupported(estimator, f"at most {FEATURE} columns")
    roots = np.cumsum([0, *map(len, parts)], dtype=np.int64)
    arrays = {"nodes": np.concatenate(parts), "roots": roots}
    if len(covers) == len(parts):
        arrays["covers"] = np.concatenate(covers)
    return arrays | ({"bitsets": bitsets(sets)} if sets else {})


def input_numbers(
    builder: ProgramBuilder, estimator: Any, block: Block, categories: Mapping[int, Sequence[Any]]
) -> list[Number]:
    """The columns as numbers: a frame's categories as their places."""
    columns = [
        category_numbers(builder, estimator, column, categories[at]) if at in categories else column
        for at, column in enumerate(block.columns)
    ]
    return builder.numbers(estimator, Block(columns, block.sparse))


def players_of(builder: ProgramBuilder, columns: Sequence[Number], slots: Mapping[int, int]) -> Array:
    """For each slot the column that a node of the library asks about. `slots`: further slots -> place of the column."""
    players = np.arange(builder.slots, dtype=np.int64)
    for slot, place in slots.items():
        players[slot] = columns[place].slot
    return players
