"""The walking kernel in numpy: what `_kernel.c` does, with the same bits, where no compiler was there."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from penstock.artifact.checks import KernelModel
from penstock.artifact.links_numpy import finish
from penstock.artifact.program import CATEGORY, FEATURE, LEAF, MISSING_LEFT, Engine, Link
from penstock.artifact.program_numpy import NOT_CANONICAL, OUT_OF_BOUNDS, KernelRefusal, run_program
from penstock.artifact.terms import Terms

Array = np.ndarray[Any, Any]
PREDICTION, RAW, LEAVES, INPUTS = range(4)


class Kernel:
    """The same constructor and `run` as `_kernel.Kernel`."""

    def __init__(
        self,
        *,
        names: tuple[str, ...],
        dictionaries: tuple[dict[str, int], ...],
        program: Array,
        constants: Array,
        vectorizers: tuple[Terms, ...],
        slots: int,
        models: Sequence[KernelModel],
    ) -> None:
        self.names, self.dictionaries, self.program, self.constants = names, dictionaries, program, constants
        self.vectorizers, self.slots, self.models = vectorizers, slots, models

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
                slots = np.zeros((self.slots, rows))
                values = [columns[name] for name in self.names]
                run_program(
                    self.program,
                    self.constants,
                    self.dictionaries,
                    self.vectorizers,
                    values,
                    slots,
                    lambda model, raw: answer(self.models[model], slots, raw=raw),
                )
                if mode == INPUTS:
                    out[:] = slots.T
                    return 0
                last = self.models[-1]
                if mode != LEAVES:
                    out[:] = answer(last, slots, raw=mode == RAW).reshape(out.shape)
                elif last.engine == Engine.trees:
                    _walk(last, slots, out)
        except KernelRefusal as refused:
            return refused.status
        return 0


def answer(model: KernelModel, slots: Array, *, raw: bool) -> Array:
    """The raw scores (n, outputs) or the predictions (n, columns) of a model for the slots (slots, n)."""
    if model.engine == Engine.trees:
        scores = _walk(model, slots, None)
    elif model.engine == Engine.linear:
        scores = _dot(model, slots)
    else:
        scores = np.ascontiguousarray(slots[model.inputs].T)
    if raw:
        return scores
    return finish(Link(model.link), scores / model.mean_of * model.factor)


def _dot(model: KernelModel, slots: Array) -> Array:
    raw = np.empty((slots.shape[1], model.outputs))
    for output, coefficients in enumerate(model.coefficients.reshape(model.outputs, -1)):
        total = np.zeros(slots.shape[1])
        for slot, coefficient in zip(model.inputs, coefficients, strict=True):
            total += slots[slot] * coefficient
        raw[:, output] = total + model.base[output]
    return raw


def _walk(model: KernelModel, slots: Array, leaves: Array | None) -> Array:
    raw = np.tile(model.base, (slots.shape[1], 1))
    for tree, (first, end) in enumerate(zip(model.roots[:-1], model.roots[1:], strict=True)):
        leaf = _reach(model, model.nodes[first:end], slots)
        output = int(model.targets[tree]) if len(model.targets) else tree % model.outputs
        if leaves is not None:
            leaves[:, tree] = leaf["link"]
        elif not len(model.leaf_values):
            raw[:, output] += leaf["value"]
        else:
            rows = np.ascontiguousarray(leaf["value"]).view(np.uint64)
            if np.any(rows >= len(model.leaf_values)):
                raise KernelRefusal(OUT_OF_BOUNDS)
            raw += model.leaf_values[rows]
        if model.single:
            raw[:, output] = raw[:, output].astype(np.float32)
    raw /= model.divisor
    return raw


def _reach(model: KernelModel, nodes: Array, slots: Array) -> Array:
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
        if np.any(slot >= len(slots)):
            raise KernelRefusal(OUT_OF_BOUNDS)
        left = goes_left(model, here, slots[slot, going])
        following = np.where(left, at[going] + 1, here["link"])
        if np.any((following <= at[going]) | (following >= len(nodes))):
            raise KernelRefusal(OUT_OF_BOUNDS)
        at[going] = following


def goes_left(model: KernelModel, nodes: Array, x: Array) -> Array:
    """Whether each of n nodes sends the value of its row left."""
    missing_left = (nodes["feature"] & MISSING_LEFT) != 0
    left = (x <= nodes["value"]) | (np.isnan(x) & missing_left)
    split = np.flatnonzero((nodes["feature"] & CATEGORY) != 0)
    if len(split):
        rows = np.ascontiguousarray(nodes["value"][split]).view(np.uint64)
        if np.any(rows >= len(model.bitsets)):
            raise KernelRefusal(OUT_OF_BOUNDS)
        coded = (x[split] >= 0) & (x[split] < 32 * model.bitsets.shape[1])
        code = np.where(coded, x[split], 0).astype(np.int64)
        bit = (model.bitsets[rows, code >> 5] >> (code & 31).astype(np.uint32)) & 1
        left[split] = np.where(coded, bit != 0, missing_left[split])
    return np.asarray(left)
