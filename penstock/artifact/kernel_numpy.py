"""The walking kernel in numpy: what `_kernel.c` does, with the same bits, where no compiler was there."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from penstock.artifact.links_numpy import finish
from penstock.artifact.program import CATEGORY, FEATURE, LEAF, MISSING_LEFT, Link
from penstock.artifact.program_numpy import NOT_CANONICAL, OUT_OF_BOUNDS, Refusal, run_program

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
                slots = np.zeros((self.slots, rows))
                run_program(
                    self.program, self.constants, self.dictionaries, [columns[name] for name in self.names], slots
                )
                if mode == INPUTS:
                    out[:] = slots.T
                    return 0
                raw = self._dot(slots) if self.linear else self._walk(slots, out if mode == LEAVES else None)
                if mode != LEAVES:
                    out[:] = (raw if mode == RAW else finish(self.link, raw)).reshape(out.shape)
        except Refusal as refused:
            return refused.status
        return 0

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
                    raise Refusal(OUT_OF_BOUNDS)
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
                raise Refusal(OUT_OF_BOUNDS)
            left = self._goes_left(here, slots[slot, going])
            following = np.where(left, at[going] + 1, here["link"])
            if np.any((following <= at[going]) | (following >= len(nodes))):
                raise Refusal(OUT_OF_BOUNDS)
            at[going] = following

    def _goes_left(self, nodes: Array, x: Array) -> Array:
        missing_left = (nodes["feature"] & MISSING_LEFT) != 0
        left = (x <= nodes["value"]) | (np.isnan(x) & missing_left)
        split = np.flatnonzero((nodes["feature"] & CATEGORY) != 0)
        if len(split):
            rows = np.ascontiguousarray(nodes["value"][split]).view(np.uint64)
            if np.any(rows >= len(self.bitsets)):
                raise Refusal(OUT_OF_BOUNDS)
            coded = (x[split] >= 0) & (x[split] < 32 * self.bitsets.shape[1])
            code = np.where(coded, x[split], 0).astype(np.int64)
            bit = (self.bitsets[rows, code >> 5] >> (code & 31).astype(np.uint32)) & 1
            left[split] = np.where(coded, bit != 0, missing_left[split])
        return np.asarray(left)
