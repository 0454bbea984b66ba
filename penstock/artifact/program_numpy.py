"""The column program in numpy, with the bits of `_kernel.c`."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from penstock.artifact.functions_numpy import FUNCTIONS, one_by_one, power
from penstock.artifact.program import Op
from penstock.artifact.terms import Terms

Array = np.ndarray[Any, Any]
NOT_CANONICAL, OUT_OF_BOUNDS = -1, -2


class KernelRefusal(Exception):
    """A refusing instruction, or what a file must not say: the answer of `run`."""

    def __init__(self, status: int) -> None:
        self.status = status


def run_program(
    program: Array,
    constants: Array,
    dictionaries: Sequence[dict[str, int]],
    vectorizers: Sequence[Terms],
    columns: Sequence[Array],
    slots: Array,
    ask: Callable[[int, bool], Array],
    refused: dict[int, Array] | None = None,
) -> None:
    """Fill the `slots` (slots, n) from the features' columns; KernelRefusal if an instruction refuses a value.

    `ask(model, raw)` returns what a model of the file answers to the slots as they are, (n, columns). With `refused`,
    go on after a refusal, and put there which rows each refusing instruction refuses.
    """
    for at, (op, source, target, start, count, extra) in enumerate(program.tolist()):
        if op in (Op.NUMBER, Op.TEXT, Op.TERMS):
            column = columns[source]
            if column.dtype != (np.float64 if op == Op.NUMBER else object):
                raise KernelRefusal(NOT_CANONICAL)
            if op == Op.TERMS:
                _refuse(at, vectorizers[start].missing(column), refused)
            known: Any = vectorizers if op == Op.TERMS else dictionaries
            slots[target : target + max(extra, 1)] = column if op == Op.NUMBER else _READ[op](known[start], column)
        elif op in (Op.TABLE, Op.ONE_HOT, Op.KNOWN):
            entries = look_up(constants[start : start + count], slots[source])
            if op == Op.ONE_HOT:
                slots[target : target + extra] = np.arange(extra)[:, None] == entries
            elif op == Op.TABLE:
                slots[target] = entries
            else:
                _refuse(at, entries == 0, refused)
        elif op == Op.FINITE:
            x = slots[source]
            _refuse(at, np.isinf(x) | (np.isnan(x) & (start == 0)) | ((x <= 0) & (start == 2)), refused)
        elif op == Op.MODEL:
            slots[target : target + extra] = ask(start, count == 1).T
        elif op in _OF_TWO:
            slots[target] = _OF_TWO[op](slots[source], slots[extra])
        else:
            x = slots[source : source + count] if op == Op.MEDIAN else slots[source]
            slots[target] = _of_one(op, x, constants[start:], count, extra)


def _of_one(op: int, x: Array, c: Array, count: int, extra: int) -> Array:
    if op == Op.FUNCTION:
        return one_by_one(FUNCTIONS[extra], x)
    if op == Op.INTERPOLATE:
        xs, ys = np.split(c[:count], 2)
        return _interpolated_single(x, xs, ys) if extra else np.asarray(np.interp(x, xs, ys))
    if op == Op.MEDIAN:
        return _median(x, c[:count])
    if op == Op.CODE:
        return places(c[:count], x)
    if op == Op.ABOVE:
        return np.asarray(x >= c[0] if extra else x > c[0])
    return _ARITHMETIC[op](x, c)


def _refuse(at: int, rows: Array, refused: dict[int, Array] | None) -> None:
    if rows.any():
        if refused is None:
            raise KernelRefusal(at + 1)
        refused[at] = np.flatnonzero(rows)


def _interpolated_single(x: Array, xs: Array, ys: Array) -> Array:
    if len(xs) == 1:
        return np.full(len(x), ys[0])
    xs, ys, x = (one.astype(np.float32) for one in (xs, ys, x))
    x = np.clip(x, xs[0], xs[-1])
    at = np.searchsorted(xs, x).clip(1, len(xs) - 1)
    slope = (ys[at] - ys[at - 1]) / (xs[at] - xs[at - 1])
    return np.where(np.isnan(x), np.nan, slope * (x - xs[at - 1]) + ys[at - 1])


def _dense(terms: Terms, texts: Array) -> Array:
    rows = terms(texts)
    made = np.zeros((terms.told.width, len(texts)))
    made[rows.places, np.repeat(np.arange(made.shape[1]), np.diff(rows.ends))] = rows.values
    return made


def _median(values: Array, weights: Array) -> Array:
    """The weighted median of each column: the first value in order up to which lies half of the weight."""
    order = np.argsort(values, axis=0, kind="stable")
    sums = np.cumsum(weights[order], axis=0)
    at = (sums >= 0.5 * sums[-1]).argmax(axis=0)
    return np.asarray(np.take_along_axis(np.take_along_axis(values, order, axis=0), at[None], axis=0)[0])


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
            raise KernelRefusal(NOT_CANONICAL)
    return made


def places(ordered: Array, values: Array) -> Array:
    """The code of each number, see `program.Op.CODE`."""
    at = np.searchsorted(ordered, values)
    padded = np.append(ordered, np.nan)
    found = padded[np.minimum(at, len(ordered))] == values
    return np.where(np.isnan(values), len(ordered), np.where(found, at, len(ordered) + 1))


def look_up(table: Array, at: Array) -> Array:
    """The table's entry of each code."""
    if not np.all((at >= 0) & (at < len(table))):
        raise KernelRefusal(OUT_OF_BOUNDS)
    return np.asarray(table[at.astype(np.int64)])


def _missing(x: Array, marker: float) -> Array:
    return np.isnan(x) if math.isnan(marker) else x == marker


def _clip(x: Array, c: Array) -> Array:
    return np.where(x < c[0], c[0], np.where(x > c[1], c[1], x))


_READ: dict[int, Callable[[Any, Array], Any]] = {Op.TEXT: codes, Op.TERMS: _dense}
_OF_TWO: dict[int, Callable[[Array, Array], Array]] = {
    Op.PLUS: np.add,
    Op.MINUS: np.subtract,
    Op.TIMES: np.multiply,
    Op.OVER: np.divide,
    Op.GREATER: lambda x, y: np.where(x > y, x, y),
}
_ARITHMETIC: dict[int, Callable[[Array, Array], Array]] = {
    Op.SUBTRACT: lambda x, c: x - c[0],
    Op.DIVIDE: lambda x, c: x / c[0],
    Op.MULTIPLY: lambda x, c: x * c[0],
    Op.ADD: lambda x, c: x + c[0],
    Op.CLIP: _clip,
    Op.FILL: lambda x, c: np.where(_missing(x, c[0]), c[1], x),
    Op.MISSING: lambda x, c: _missing(x, c[0]),
    Op.FLOAT32: lambda x, _: x.astype(np.float32),
    Op.COPY: lambda x, _: x,
    Op.NEAR_ZERO: lambda x, c: np.where(np.abs(x) <= c[0], c[1], x),
    Op.TRUNCATE: lambda x, _: np.trunc(x),
    Op.FLOOR: lambda x, _: np.floor(x),
    Op.REMAINDER: lambda x, c: np.remainder(x, c[0]),
    Op.POWER: lambda x, c: one_by_one(lambda value: power(value, float(c[0])), x),
}
