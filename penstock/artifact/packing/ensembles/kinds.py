"""Estimators over estimators: votes, stacks, bags, AdaBoost, and a target that was transformed."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from penstock.artifact.packing.ensembles.adaboost import adaboost, adaboost_value
from penstock.artifact.packing.ensembles.votes import chosen, label, one_vs_rest
from penstock.artifact.packing.estimators import answers, of_slots, pack_estimator, scores
from penstock.artifact.packing.inverse import inverse
from penstock.artifact.packing.model import Model, classifies, sklearn_name
from penstock.artifact.packing.program import Block, Column, Number, ProgramBuilder, unsupported
from penstock.artifact.program import Op
from penstock.artifact.scores import voting_weights

Array = np.ndarray[Any, Any]


def _vote(builder: ProgramBuilder, estimator: Any, block: Block) -> Model:
    """VotingClassifier and VotingRegressor: the mean of the members, weighted or not, or their votes."""
    classifier = sklearn_name(estimator) == "VotingClassifier"
    weights = voting_weights(estimator)
    if classifier and estimator.voting != "soft":
        return _votes(builder, estimator, block, weights)
    given = [answers(builder, member, block) for member in estimator.estimators_]
    return _mean(builder, given, "classifier" if classifier else "regressor", weights)


def _votes(builder: ProgramBuilder, estimator: Any, block: Block, weights: list[float] | None) -> Model:
    """The votes for each class; of two classes, how many more the second has."""
    totals: list[int] = []
    for at, member in enumerate(estimator.estimators_):
        votes = label(builder, member, block)
        if weights is not None:
            votes = [builder.with_constant(Op.MULTIPLY, slot, weights[at]) for slot in votes]
        totals = [builder.two(Op.PLUS, *pair) for pair in zip(totals, votes, strict=True)] if totals else votes
    if len(totals) == 2:
        totals = [builder.two(Op.MINUS, totals[1], totals[0])]
    return of_slots(totals, "classifier")


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
    singles: list[bool] = []
    kept = [member for member in estimator.estimators_ if not isinstance(member, str)]
    for member, method in zip(kept, estimator.stack_method_, strict=True):
        if method == "decision_function":
            slots, single = scores(builder, member, block)
        elif method == "predict" and classifies(member):
            raise unsupported(estimator, "members with predict_proba or decision_function", type(member).__name__)
        else:
            slots, single = answers(builder, member, block)
            slots = slots[1:] if method == "predict_proba" and len(slots) == 2 else slots
        columns += [Number(slot, 0) for slot in slots]
        singles.append(single)
    if estimator.passthrough:
        columns += builder.numbers(estimator, builder.fork(block))
    around, builder.in_single = builder.in_single, all(singles) and not estimator.passthrough
    last = pack_estimator(builder, estimator.final_estimator_, Block(columns, block.sparse and estimator.passthrough))
    builder.in_single = around
    return last


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


def _each_output(builder: ProgramBuilder, estimator: Any, block: Block) -> Model:
    """MultiOutputRegressor: what a regressor of its own answers for each output."""
    given = [answers(builder, member, block) for member in estimator.estimators_]
    single = all(one for _, one in given)
    return of_slots([slot for slots, _ in given for slot in slots], "regressor", single=single)


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
    "MultiOutputRegressor": _each_output,
    "TransformedTargetRegressor": _transformed_target,
}
