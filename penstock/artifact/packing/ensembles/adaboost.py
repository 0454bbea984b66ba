"""AdaBoost: the weighted votes of its members, or their weighted median."""

from typing import Any

import numpy as np

from penstock.artifact.packing.ensembles.votes import probable_label
from penstock.artifact.packing.estimators import answers, of_slots
from penstock.artifact.packing.model import Model
from penstock.artifact.packing.program import Block, ProgramBuilder, unsupported
from penstock.artifact.program import Link, Op


def adaboost(builder: ProgramBuilder, estimator: Any, block: Block) -> Model:
    """AdaBoostClassifier: the weighted votes for each class."""
    count = int(estimator.n_classes_)
    if count < 2:
        raise unsupported(estimator, "at least two classes", str(count))
    builder.finite(block.columns, allow_nan=False)
    weights = estimator.estimator_weights_[: len(estimator.estimators_)]
    totals: list[int] = []
    for member, weight in zip(estimator.estimators_, weights.tolist(), strict=True):
        if np.asarray(member.classes_).shape != (count,) or not hasattr(member, "predict_proba"):
            raise unsupported(estimator, "members with predict_proba that know every class", type(member).__name__)
        labels = probable_label(builder, member, block)
        other = -1 / (count - 1) * weight
        votes = [builder.with_constant(Op.FILL, one, 1.0, weight) for one in labels]
        votes = [builder.with_constant(Op.FILL, one, 0.0, other) for one in votes] if weight else votes
        totals = [builder.two(Op.PLUS, *pair) for pair in zip(totals, votes, strict=True)] if totals else votes
    made = [builder.with_constant(Op.DIVIDE, slot, float(estimator.estimator_weights_.sum())) for slot in totals]
    if count == 2:
        return of_slots([builder.two(Op.MINUS, made[1], made[0])], "classifier", link=Link.LOGIT)
    return of_slots(
        [builder.with_constant(Op.DIVIDE, slot, count - 1.0) for slot in made], "classifier", link=Link.SOFTMAX
    )


def adaboost_value(builder: ProgramBuilder, estimator: Any, block: Block) -> Model:
    """AdaBoostRegressor: the weighted median of what its members answer."""
    builder.finite(block.columns, allow_nan=False)
    members = [answers(builder, member, block) for member in estimator.estimators_]
    if any(len(slots) != 1 or single for slots, single in members):
        raise unsupported(estimator, "members that answer one value in float64")
    first = builder.new(len(members))
    for at, (slots, _) in enumerate(members):
        builder.emit(Op.COPY, slots[0], first + at)
    weights = builder.constants(estimator.estimator_weights_[: len(members)])
    return of_slots([builder.emit(Op.MEDIAN, first, builder.new(), weights, len(members))], "regressor")
