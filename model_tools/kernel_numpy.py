"""The walking kernel in numpy: what `_kernel.c` does, with the same bits, where no compiler was there."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from model_tools.program import CATEGORY, FEATURE, LEAF, MISSING_LEFT, Link, Op

Array = np.ndarray[Any, Any]
PREDICTION, RAW, LEAVES, INPUTS = range(4)
NOT_CANONICAL, OUT_OF_BOUNDS = -1, -2


class Refused(Exception):
    """A refusing instruction, or what a file must not say: the answer of `run`."""

    def __init__(self, status: int) -> None:
        self.status = status


class Kernel:
    """The same constructor and `run` as `_kernel.Kernel`."""

    def __init__(
        self,
        *,
        names: tuple[str, ...],
        dictionaries: tuple[dict[str, int], ...],
        program: Array,
        constants: Array,
        nodes: Array,
        roots: Array,
        leaf_values: Array,
        bitsets: Array,
        base: Array,
        coefficients: Array,
        inputs: Array,
        slots: int,
        outputs: int,
        columns: int,
        link: int,
        divisor: float,
        linear: bool,
    ) -> None:
        self.names, self.dictionaries, self.program, self.constants = names, dictionaries, program, constants
        self.nodes, self.roots, self.leaf_values, self.bitsets = nodes, roots, leaf_values, bitsets
        self.base, self.coefficients, self.inputs = base, coefficients, inputs
        self.slots, self.outputs, self.columns = slots, outputs, columns
        self.link, self.divisor, self.linear = Link(link), divisor, linear

    def run(self, columns: Mapping[str, Array], out: Array, mode: int, rows: int) -> int:
        """Fill `out`; 0, or the number of the refusing instruction + 1, or one of the answers below zero."""
        if len(columns) != len(self.names):
            return NOT_CANONICAL
        for name in self.names:
            array = columns.get(name)
            if not isinstance(array, np.ndarray) or array.shape != (rows,):
                return NOT_CANONICAL
        try:
            with np.errstate(all="ignore"):
                slots = self._prepare(columns, rows)
                if mode == INPUTS:
                    out[:] = slots.T
                    return 0
                raw = self._dot(slots) if self.linear else self._walk(slots, out if mode == LEAVES else None)
                if mode != LEAVES:
                    out[:] = (raw if mode == RAW else finish(self.link, raw)).reshape(out.shape)
        except Refused as refused:
            return refused.status
        return 0

    def _prepare(self, columns: Mapping[str, Array], rows: int) -> Array:
        slots = np.zeros((self.slots, rows))
        for at, (op, source, target, start, count, extra) in enumerate(self.program.tolist()):
            constants = self.constants[start:]
            match op:
                case Op.NUMBER | Op.TEXT:
                    array = columns[self.names[source]]
                    if array.dtype != (np.float64 if op == Op.NUMBER else object):
                        raise Refused(NOT_CANONICAL)
                    slots[target] = array if op == Op.NUMBER else codes(self.dictionaries[start], array)
                case Op.CODE:
                    slots[target] = places(constants[:count], slots[source])
                case Op.TABLE | Op.KNOWN | Op.ONE_HOT:
                    if not np.all((slots[source] >= 0) & (slots[source] < count)):
                        raise Refused(OUT_OF_BOUNDS)
                    entries = constants[slots[source].astype(np.int64)]
                    if op == Op.TABLE:
                        slots[target] = entries
                    elif op == Op.ONE_HOT:
                        slots[target : target + extra] = np.arange(extra)[:, None] == entries
                    elif np.any(entries == 0):
                        raise Refused(at + 1)
                case Op.SUBTRACT:
                    slots[target] = slots[source] - constants[0]
                case Op.DIVIDE:
                    slots[target] = slots[source] / constants[0]
                case Op.MULTIPLY:
                    slots[target] = slots[source] * constants[0]
                case Op.ADD:
                    slots[target] = slots[source] + constants[0]
                case Op.CLIP:
                    low, high = constants[:2]
                    x = slots[source]
                    slots[target] = np.where(x < low, low, np.where(x > high, high, x))
                case Op.FILL:
                    slots[target] = np.where(missing(slots[source], constants[0]), constants[1], slots[source])
                case Op.MISSING:
                    slots[target] = missing(slots[source], constants[0])
                case Op.FINITE:
                    if np.any(np.isinf(slots[source])) or (start != 1 and np.any(np.isnan(slots[source]))):
                        raise Refused(at + 1)
                case Op.FLOAT32:
                    slots[target] = slots[source].astype(np.float32)
                case Op.COPY:
                    slots[target] = slots[source]
        return slots

    def _dot(self, slots: Array) -> Array:
        raw = np.empty((slots.shape[1], self.outputs))
        for output, coefficients in enumerate(self.coefficients.reshape(self.outputs, -1)):
            total = np.zeros(slots.shape[1])
            for slot, coefficient in zip(self.inputs, coefficients, strict=True):
                total += slots[slot] * coefficient
            raw[:, output] = total + self.base[output]
        return raw

    def _walk(self, slots: Array, leaves: Array | None) -> Array:
        raw = np.tile(self.base, (slots.shape[1], 1))
        for tree, (first, end) in enumerate(zip(self.roots[:-1], self.roots[1:], strict=True)):
            leaf = self._reach(self.nodes[first:end], slots)
            if leaves is not None:
                leaves[:, tree] = leaf["link"]
            elif not len(self.leaf_values):
                raw[:, tree % self.outputs] += leaf["value"]
            else:
                rows = np.ascontiguousarray(leaf["value"]).view(np.uint64)
                if np.any(rows >= len(self.leaf_values)):
                    raise Refused(OUT_OF_BOUNDS)
                raw += self.leaf_values[rows]
        raw /= self.divisor
        return raw

    def _reach(self, nodes: Array, slots: Array) -> Array:
        """The leaf nodes that n rows reach in one tree."""
        at = np.zeros(slots.shape[1], dtype=np.int64)
        going = np.arange(slots.shape[1])
        while True:
            here = nodes[at[going]]
            inner = (here["feature"] & LEAF) == 0
            going, here = going[inner], here[inner]
            if not len(going):
                return nodes[at]
            slot = here["feature"] & FEATURE
            if np.any(slot >= self.slots):
                raise Refused(OUT_OF_BOUNDS)
            left = self._goes_left(here, slots[slot, going])
            following = np.where(left, at[going] + 1, here["link"])
            if np.any((following <= at[going]) | (following >= len(nodes))):
                raise Refused(OUT_OF_BOUNDS)
            at[going] = following

    def _goes_left(self, nodes: Array, x: Array) -> Array:
        missing_left = (nodes["feature"] & MISSING_LEFT) != 0
        left = (x <= nodes["value"]) | (np.isnan(x) & missing_left)
        split = np.flatnonzero((nodes["feature"] & CATEGORY) != 0)
        if len(split):
            rows = np.ascontiguousarray(nodes["value"][split]).view(np.uint64)
            if np.any(rows >= len(self.bitsets)):
                raise Refused(OUT_OF_BOUNDS)
            coded = (x[split] >= 0) & (x[split] < 32 * self.bitsets.shape[1])
            code = np.where(coded, x[split], 0).astype(np.int64)
            bit = (self.bitsets[rows, code >> 5] >> (code & 31).astype(np.uint32)) & 1
            left[split] = np.where(coded, bit != 0, missing_left[split])
        return left


def missing(values: Array, marker: float) -> Array:
    """Where `values` are the missing value `marker`, which may be NaN."""
    return np.isnan(values) if math.isnan(marker) else values == marker


def codes(dictionary: dict[str, int], values: Array) -> list[int]:
    """The code of each text, see `program.Op.TEXT`."""
    known = len(dictionary)
    made = []
    for value in values.tolist():
        if isinstance(value, str):
            made.append(dictionary.get(value, known + 2))
        elif value is None:
            made.append(known)
        elif isinstance(value, float) and math.isnan(value):
            made.append(known + 1)
        else:
            raise Refused(NOT_CANONICAL)
    return made


def places(ordered: Array, values: Array) -> Array:
    """The code of each number, see `program.Op.CODE`."""
    at = np.searchsorted(ordered, values)
    padded = np.append(ordered, np.nan)
    found = padded[np.minimum(at, len(ordered))] == values
    return np.where(np.isnan(values), len(ordered), np.where(found, at, len(ordered) + 1))


def finish(link: Link, raw: Array) -> Array:
    """Predictions of raw scores (n, outputs). libm's exp through `math`, because numpy's own rounds differently."""
    match link:
        case Link.LOG:
            return _exp(raw)
        case Link.LOGIT | Link.HALF_LOGIT:
            return _two(1.0 / (1.0 + _exp(-(raw if link == Link.LOGIT else 2.0 * raw))))
        case Link.SOFTMAX:
            return _normalised(_exp(raw - _highest(raw)))
        case Link.ONE_VS_REST:
            return _normalised(1.0 / (1.0 + _exp(-raw)))
        case Link.CLIPPED:
            return _two((np.clip(raw, -1.0, 1.0) + 1.0) / 2.0)
        case Link.CLIPPED_ONE_VS_REST:
            return _normalised((np.clip(raw, -1.0, 1.0) + 1.0) / 2.0)
        case _:
            return raw


def _exp(values: Array) -> Array:
    def exp(value: float) -> float:
        try:
            return math.exp(value)
        except OverflowError:
            return math.inf

    return np.array([exp(value) for value in values.ravel().tolist()], dtype=np.float64).reshape(values.shape)


def _highest(raw: Array) -> Array:
    return raw.max(axis=1, keepdims=True) if raw.shape[1] else raw


def _two(second: Array) -> Array:
    return np.concatenate([1.0 - second, second], axis=1)


def _normalised(scores: Array) -> Array:
    total = np.zeros((len(scores), 1))
    for column in scores.T:
        total[:, 0] += column
    return np.where(total == 0.0, 1.0 / scores.shape[1], scores / total)
