"""Estimators over estimators: votes, stacks, bags, AdaBoost, and a target that was transformed."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from penstock.artifact.packing.estimators import answers, of_slots, pack_estimator, scores
from penstock.artifact.packing.inverse import inverse
from penstock.artifact.packing.model import Model, classifies, sklearn_name
from penstock.artifact.packing.program import Block, Column, Number, ProgramBuilder, unsupported
from penstock.artifact.program import Link, Op

Array = np.ndarray[Any, Any]


def _vote(builder: ProgramBuilder, estimator: Any, block: Block) -> Model:
    """VotingClassifier(voting="soft") and VotingRegressor: the mean, or the weighted mean, of the members."""
    classifier = sklearn_name(estimator) == "VotingClassifier"
    if classifier and estimator.voting != "soft":
        raise unsupported(estimator, "voting='soft', which has probabilities", repr(estimator.voting))
    given = [answers(builder, member, block) for member in estimator.estimators_]
    weights = None
    if estimator.weights is not None:
        pairs = zip(estimator.estimators, estimator.weights, strict=True)
        weights = [float(weight) for (_, member), weight in pairs if not isinstance(member, str)]
    return _mean(builder, given, "classifier" if classifier else "regressor", weights)


def _mean(
    builder: ProgramBuilder,
    given: Sequence[tuple[list[int], bool]],
    kind: str,
    weights: list[float] | None = None,
    *,
    single: bool | None = None,
) -> Model:
    """The mean as numpy sums it: one member after the other, in float32 where all members answer in that."""
    if single is None:
        single = weights is None and all(one for _, one in given)
    made: list[int] = []
    for column in zip(*(slots for slots, _ in given), strict=True):
        each = list(column)
        if weights is not None:
            each = [builder.with_constant(Op.MULTIPLY, slot, one) for slot, one in zip(each, weights, strict=True)]
        total = builder.with_constant(Op.ADD, each[0], 0.0)
        for slot in each[1:]:
            total = builder.two(Op.PLUS, total, slot)
            total = builder.emit(Op.FLOAT32, total, total) if single else total
        divisor = float(np.sum(weights)) if weights is not None else float(len(each))
        total = builder.with_constant(Op.DIVIDE, total, divisor)
        made.append(builder.emit(Op.FLOAT32, total, total) if single else total)
    return of_slots(made, kind, single=single)


def _stack(builder: ProgramBuilder, estimator: Any, block: Block) -> Model:
    """StackingClassifier and StackingRegressor: the final estimator over what the members answer."""
    columns: list[Column] = []
    kept = [member for member in estimator.estimators_ if not isinstance(member, str)]
    for member, method in zip(kept, estimator.stack_method_, strict=True):
        if method == "decision_function":
            slots, _ = scores(builder, member, block)
        elif method == "predict" and classifies(member):
            raise unsupported(estimator, "members with predict_proba or decision_function", type(member).__name__)
        else:
            slots, _ = answers(builder, member, block)
            slots = slots[1:] if method == "predict_proba" and len(slots) == 2 else slots
        columns += [Number(slot, 0) for slot in slots]
    if estimator.passthrough:
        columns += builder.numbers(estimator, builder.fork(block))
    return pack_estimator(builder, estimator.final_estimator_, Block(columns, sparse=False))


def _bag(builder: ProgramBuilder, estimator: Any, block: Block) -> Model:
    """BaggingClassifier and BaggingRegressor: the mean of members, each on its own columns."""
    classifier = sklearn_name(estimator) == "BaggingClassifier"
    given: list[tuple[list[int], bool]] = []
    zero = -1
    for member, features in zip(estimator.estimators_, estimator.estimators_features_, strict=True):
        if classifier and not hasattr(member, "predict_proba"):
            raise unsupported(estimator, "members with predict_proba", type(member).__name__)
        taken = Block([block.columns[at] for at in features], block.sparse)
        slots, single = answers(builder, member, taken)
        if classifier and len(slots) != estimator.n_classes_:
            zero = builder.with_constant(Op.MULTIPLY, slots[0], 0.0) if zero < 0 else zero
            own = dict(zip(np.asarray(member.classes_, dtype=int).tolist(), slots, strict=True))
            slots = [own.get(place, zero) for place in range(estimator.n_classes_)]
        given.append((slots, single))
    if classifier:
        return _mean(builder, given, "classifier", single=False)
    return _mean(builder, given, "regressor")


def _adaboost(builder: ProgramBuilder, estimator: Any, block: Block) -> Model:
    """AdaBoostClassifier: the weighted votes for each class."""
    count = int(estimator.n_classes_)
    if count < 2:
        raise unsupported(estimator, "at least two classes", str(count))
    weights = estimator.estimator_weights_[: len(estimator.estimators_)]
    totals: list[int] = []
    for member, weight in zip(estimator.estimators_, weights.tolist(), strict=True):
        if np.asarray(member.classes_).shape != (count,) or not hasattr(member, "predict_proba"):
            raise unsupported(estimator, "members with predict_proba that know every class", type(member).__name__)
        slots, _ = answers(builder, member, block)
        other = -1 / (count - 1) * weight
        votes = [builder.with_constant(Op.FILL, one, 1.0, weight) for one in _chosen(builder, slots)]
        votes = [builder.with_constant(Op.FILL, one, 0.0, other) for one in votes] if weight else votes
        totals = [builder.two(Op.PLUS, *pair) for pair in zip(totals, votes, strict=True)] if totals else votes
    made = [builder.with_constant(Op.DIVIDE, slot, float(estimator.estimator_weights_.sum())) for slot in totals]
    if count == 2:
        return of_slots([builder.two(Op.MINUS, made[1], made[0])], "classifier", link=Link.LOGIT)
    return of_slots(
        [builder.with_constant(Op.DIVIDE, slot, count - 1.0) for slot in made], "classifier", link=Link.SOFTMAX
    )


def _chosen(builder: ProgramBuilder, slots: list[int]) -> list[int]:
    """1 for the first of the greatest slots, 0 for the others."""
    made: list[int] = []
    for at, slot in enumerate(slots):
        beats = [
            builder.emit(Op.ABOVE, difference, difference, builder.constants(0.0), 0, int(other > at))
            for other, one in enumerate(slots)
            if other != at
            for difference in [builder.two(Op.MINUS, slot, one)]
        ]
        chosen = beats[0]
        for beat in beats[1:]:
            chosen = builder.two(Op.TIMES, chosen, beat)
        made.append(chosen)
    return made


def _transformed_target(builder: ProgramBuilder, estimator: Any, block: Block) -> Model:
    """TransformedTargetRegressor: what the regressor answers, back through the transformer of the target."""
    slots, single = answers(builder, estimator.regressor_, block)
    if len(slots) != 1:
        raise unsupported(estimator, "one output", str(len(slots)))
    slot = inverse(builder, estimator.transformer_, slots[0], single=single)
    return of_slots([slot], "regressor", single=single)


ENSEMBLES: dict[str, Callable[[ProgramBuilder, Any, Block], Model]] = {
    "VotingClassifier": _vote,
    "VotingRegressor": _vote,
    "StackingClassifier": _stack,
    "StackingRegressor": _stack,
    "BaggingClassifier": _bag,
    "BaggingRegressor": _bag,
    "AdaBoostClassifier": _adaboost,
    "TransformedTargetRegressor": _transformed_target,
}
