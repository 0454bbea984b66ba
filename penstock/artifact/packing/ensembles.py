"""Estimators over estimators: votes, stacks, bags, AdaBoost, and a target that was transformed."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from penstock.artifact.packing.adaboost import adaboost, adaboost_value
from penstock.artifact.packing.estimators import answers, of_slots, pack_estimator, scores
from penstock.artifact.packing.inverse import inverse
from penstock.artifact.packing.model import Model, classifies, sklearn_name
from penstock.artifact.packing.program import Block, Column, Number, ProgramBuilder, unsupported
from penstock.artifact.packing.votes import chosen, one_vs_rest
from penstock.artifact.program import Op

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
    return pack_estimator(builder, estimator.final_estimator_, Block(columns, block.sparse and estimator.passthrough))


def _bag(builder: ProgramBuilder, estimator: Any, block: Block) -> Model:
    """BaggingClassifier and BaggingRegressor: the mean of members, each on its own columns."""
    classifier = sklearn_name(estimator) == "BaggingClassifier"
    given: list[tuple[list[int], bool]] = []
    zero = -1
    for member, features in zip(estimator.estimators_, estimator.estimators_features_, strict=True):
        taken = Block([block.columns[at] for at in features], block.sparse)
        votes = classifier and not hasattr(member, "predict_proba")
        slots, single = (chosen(builder, member, taken), False) if votes else answers(builder, member, taken)
        if classifier and len(slots) != estimator.n_classes_:
            zero = builder.with_constant(Op.MULTIPLY, slots[0], 0.0) if zero < 0 else zero
            own = dict(zip(np.asarray(member.classes_, dtype=int).tolist(), slots, strict=True))
            slots = [own.get(place, zero) for place in range(estimator.n_classes_)]
        given.append((slots, single))
    if classifier:
        return _mean(builder, given, "classifier", single=False)
    return _mean(builder, given, "regressor")


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
    "AdaBoostClassifier": adaboost,
    "AdaBoostRegressor": adaboost_value,
    "OneVsRestClassifier": one_vs_rest,
    "TransformedTargetRegressor": _transformed_target,
}
