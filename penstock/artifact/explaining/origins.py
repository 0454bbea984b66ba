"""What a model's slots were made of: the features, and the answers of other models that they add up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from penstock.artifact.checks import KernelModel
from penstock.artifact.program import FEATURE, LEAF, Engine, Function, Link, Op

Array = np.ndarray[Any, Any]
_OF_CONSTANT = (Op.ADD, Op.SUBTRACT, Op.MULTIPLY, Op.DIVIDE)
_OF_TWO = (Op.PLUS, Op.MINUS, Op.TIMES, Op.OVER)


@dataclass(frozen=True)
class Sum:
    """A number that is a sum: a constant, and multiples of raw scores and of slots.

    `scores`: (model, output) -> factor. `slots`: slot -> factor.
    """

    constant: float = 0.0
    scores: Mapping[tuple[int, int], float] = field(default_factory=dict)
    slots: Mapping[int, float] = field(default_factory=dict)

    def times(self, factor: float) -> "Sum":
        """Each member multiplied."""
        scores = {place: factor * one for place, one in self.scores.items()}
        return Sum(self.constant * factor, scores, {slot: factor * one for slot, one in self.slots.items()})

    def plus(self, other: "Sum") -> "Sum":
        """All members of both."""
        scores, slots = dict(self.scores), dict(self.slots)
        for place, one in other.scores.items():
            scores[place] = scores.get(place, 0.0) + one
        for slot, one in other.slots.items():
            slots[slot] = slots.get(slot, 0.0) + one
        return Sum(self.constant + other.constant, scores, slots)


def asked_slots(model: KernelModel) -> list[int]:
    """The slots that a model reads."""
    if model.engine != Engine.trees:
        return [int(slot) for slot in model.inputs]
    inner = (model.nodes["feature"] & LEAF) == 0
    return [int(slot) for slot in np.unique(model.nodes["feature"][inner] & FEATURE)]


def features_of_slots(program: Array, models: Sequence[KernelModel], slots: int) -> list[frozenset[int]]:
    """For each slot, at the end of the program, the features that it was made of."""
    made = [frozenset[int]()] * slots
    for op, source, target, start, count, extra in program.tolist():
        if op in (Op.NUMBER, Op.TEXT, Op.TERMS):
            made[target : target + max(extra, 1)] = [frozenset([source])] * max(extra, 1)
        elif op == Op.MODEL:
            every = frozenset[int]().union(*(made[slot] for slot in asked_slots(models[start])))
            made[target : target + extra] = [every] * extra
        elif op == Op.ONE_HOT:
            made[target : target + extra] = [made[source]] * extra
        elif op in (*_OF_TWO, Op.GREATER):
            made[target] = made[source] | made[extra]
        elif op == Op.MEDIAN:
            made[target] = frozenset[int]().union(*made[source : source + count])
        elif op not in (Op.FINITE, Op.KNOWN):
            made[target] = made[source]
    return made


def sums_of_scores(program: Array, constants: Array, models: Sequence[KernelModel]) -> dict[int, Sum]:
    """The slots that are sums of other models' raw scores, at the end of the program; roundings are not counted."""
    made: dict[int, Sum] = {}
    for op, source, target, start, count, extra in program.tolist():
        if op == Op.MODEL:
            model = models[start]
            plain = count == 1 or (model.link == Link.IDENTITY and model.mean_of == model.factor == 1.0)
            for at in range(extra):
                made.pop(target + at, None)
                if plain:
                    made[target + at] = Sum(scores={(start, at): 1.0})
            continue
        if op in (Op.FINITE, Op.KNOWN):
            continue
        found = None
        if source in made and op not in (Op.NUMBER, Op.TEXT, Op.TERMS):
            constant = float(constants[start]) if op in _OF_CONSTANT else 0.0
            found = _after(made[source], op, constant, made.get(extra), extra)
        for at in range(extra if op in (Op.ONE_HOT, Op.TERMS) else 1):
            made.pop(target + at, None)
        if found is not None:
            made[target] = found
    return made


def _after(one: Sum, op: int, constant: float, other: Sum | None, extra: int) -> Sum | None:
    """What an instruction makes of a sum; None if that is none."""
    if op in (Op.FLOAT32, Op.COPY):
        return one
    if op in (Op.ADD, Op.SUBTRACT):
        return one.plus(Sum(constant if op == Op.ADD else -constant))
    if op == Op.MULTIPLY:
        return one.times(constant)
    if op == Op.DIVIDE and constant:
        return one.times(1.0 / constant)
    if op in (Op.PLUS, Op.MINUS) and other is not None:
        return one.plus(other if op == Op.PLUS else other.times(-1.0))
    return one.times(-1.0) if op == Op.FUNCTION and extra == Function.NEGATIVE else None


def sums_of_model(model: KernelModel, own: int, known: Mapping[int, Sum]) -> list[Sum]:
    """Each raw score of a model as a sum. `own` is its number, `known` the slots that are sums themselves."""
    if model.engine == Engine.trees:
        return [Sum(scores={(own, output): 1.0}) for output in range(model.outputs)]
    inputs = [int(slot) for slot in model.inputs]
    linear = model.engine == Engine.linear
    made: list[Sum] = []
    for output in range(model.outputs):
        factors = model.coefficients[output].tolist() if linear else [float(at == output) for at in range(len(inputs))]
        total = Sum(float(model.base[output]) if linear else 0.0)
        for slot, factor in zip(inputs, factors, strict=True):
            if factor or linear:
                total = total.plus((known[slot] if slot in known else Sum(slots={slot: 1.0})).times(factor))
        made.append(total)
    return made
