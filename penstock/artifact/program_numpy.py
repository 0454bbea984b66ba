"""The column program in numpy, with the bits of `_kernel.c`."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from penstock.artifact.program import Op

Array = np.ndarray[Any, Any]
NOT_CANONICAL, OUT_OF_BOUNDS = -1, -2


class Refused(Exception):
    """A refusing instruction, or what a file must not say: the answer of `run`."""

    def __init__(self, status: int) -> None:
        self.status = status


def run_program(
    program: Array,
    constants: Array,
    dictionaries: Sequence[dict[str, int]],
    columns: Sequence[Array],
    slots: Array,
    refused: dict[int, Array] | None = None,
) -> None:
    """Fill the `slots` (slots, n) from the features' columns; Refused if an instruction refuses a value.

    With `refused`, go on then, and put there which rows each refusing instruction refuses.
    """
    for at, (op, source, target, start, count, extra) in enumerate(program.tolist()):
        if op in (Op.NUMBER, Op.TEXT):
            if columns[source].dtype != (np.float64 if op == Op.NUMBER else object):
                raise Refused(NOT_CANONICAL)
            slots[target] = columns[source] if op == Op.NUMBER else codes(dictionaries[start], columns[source])
        elif op == Op.CODE:
            slots[target] = places(constants[start : start + count], slots[source])
        elif op in (Op.TABLE, Op.ONE_HOT, Op.KNOWN):
            entries = look_up(constants[start : start + count], slots[source])
            if op == Op.ONE_HOT:
                slots[target : target + extra] = np.arange(extra)[:, None] == entries
            elif op == Op.TABLE:
                slots[target] = entries
            else:
                _refuse(at, entries == 0, refused)
        elif op == Op.FINITE:
            _refuse(at, np.isinf(slots[source]) | (np.isnan(slots[source]) & (start != 1)), refused)
        else:
            slots[target] = _ARITHMETIC[op](slots[source], constants[start : start + 2])


def _refuse(at: int, rows: Array, refused: dict[int, Array] | None) -> None:
    if rows.any():
        if refused is None:
            raise Refused(at + 1)
        refused[at] = np.flatnonzero(rows)


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


def look_up(table: Array, at: Array) -> Array:
    """The table's entry of each code."""
    if not np.all((at >= 0) & (at < len(table))):
        raise Refused(OUT_OF_BOUNDS)
    return np.asarray(table[at.astype(np.int64)])


def _missing(x: Array, marker: float) -> Array:
    return np.isnan(x) if math.isnan(marker) else x == marker


def _clip(x: Array, c: Array) -> Array:
    return np.where(x < c[0], c[0], np.where(x > c[1], c[1], x))


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
}
