"""Classes that members choose, as one slot for each class, and one classifier per class."""

from typing import Any

import numpy as np

from penstock.artifact.packing.boosting.lightgbm import LIGHTGBM
from penstock.artifact.packing.boosting.xgboost import XGBOOST
from penstock.artifact.packing.estimators import answers, final_of, of_slots, scores
from penstock.artifact.packing.linear import LINEAR
from penstock.artifact.packing.model import Model, public_name
from penstock.artifact.packing.program import Block, ProgramBuilder, unsupported
from penstock.artifact.packing.thresholds import threshold_of
from penstock.artifact.packing.trees import FORESTS, TREES
from penstock.artifact.program import Function, Op

_MOST_PROBABLE = (*TREES, *FORESTS, "HistGradientBoostingClassifier", *LIGHTGBM, *XGBOOST)
"""Estimators that predict the first of the most probable classes, whatever rounding makes of scores."""
_BY_BAYES = ("GaussianNB", "QuadraticDiscriminantAnalysis")
VOTERS = (*LINEAR, *_MOST_PROBABLE)


def greatest(builder: ProgramBuilder, slots: list[int]) -> list[int]:
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


def chosen(builder: ProgramBuilder, member: Any, block: Block) -> list[int]:
    """1 in the slot of the class that a member without probabilities predicts, 0 in the others."""
    slots, _ = scores(builder, member, block)
    if len(slots) > 1:
        return greatest(builder, slots)
    threshold = threshold_of(member)
    if threshold is None:
        taken = builder.with_constant(Op.ABOVE, slots[0], 0.0)
    else:
        own = slots[0] if threshold.place == 1 else builder.apply(Function.NEGATIVE, slots[0])
        taken = builder.emit(Op.ABOVE, own, builder.new(), builder.constants(threshold.at), 0, 1)
    other = builder.with_constant(Op.ADD, builder.apply(Function.NEGATIVE, taken), 1.0)
    return [taken, other] if threshold is not None and threshold.place == 0 else [other, taken]


def label(builder: ProgramBuilder, member: Any, block: Block) -> list[int]:
    """1 in the slot of the class that a member predicts, 0 in the others; UnsupportedEstimator for a member whose own
    way to its label is not known here."""
    final = final_of(member)
    name = public_name(final)
    if threshold_of(member) is None:
        if name in LINEAR:
            return chosen(builder, member, block)
        if name in _MOST_PROBABLE:
            return greatest(builder, answers(builder, member, block)[0])
    raise unsupported(member, "members that are linear, trees or boosting", type(final).__name__)


def probable_label(builder: ProgramBuilder, member: Any, block: Block) -> list[int]:
    """The same of a member with probabilities of which the greatest is its label, unless it says so by scores."""
    if public_name(final_of(member)) in LINEAR or threshold_of(member) is not None:
        return label(builder, member, block)
    slots = answers(builder, member, block)[0]
    made = greatest(builder, slots)
    if (name := public_name(final_of(member))) not in _BY_BAYES:
        return made
    made = [  # of rows too far from all classes no probability is a number
        builder.two(Op.PLUS, one, builder.with_constant(Op.MULTIPLY, slot, 0.0))
        for one, slot in zip(made, slots, strict=True)
    ]
    if name == "GaussianNB":  # then all classes are alike, and the first is taken
        made = [builder.with_constant(Op.FILL, one, np.nan, float(at == 0)) for at, one in enumerate(made)]
    return made


def divisor_of(builder: ProgramBuilder, total: int) -> tuple[int, int]:
    """A sum of probabilities to divide by, which is 1 where the sum is 0; and 1 there, elsewhere 0."""
    some = builder.with_constant(Op.ABOVE, total, 0.0)
    none = builder.with_constant(Op.ADD, builder.apply(Function.NEGATIVE, some), 1.0)
    return builder.two(Op.PLUS, total, none), none


def one_vs_rest(builder: ProgramBuilder, estimator: Any, block: Block) -> Model:
    """OneVsRestClassifier: the probability of each class by a classifier of its own, which then sum to 1."""
    if estimator.multilabel_:
        raise unsupported(estimator, "one label per row", "several")
    positives: list[int] = []
    singles: set[bool] = set()
    for member in estimator.estimators_:
        if not hasattr(member, "predict_proba") or type(member).__name__ == "_ConstantPredictor":
            raise unsupported(estimator, "members with predict_proba", type(member).__name__)
        slots, single = answers(builder, member, block)
        singles.add(single)
        positives.append(slots[1])
    if len(singles) > 1:
        raise unsupported(estimator, "members that all answer in one precision", "several")
    single = True in singles

    def rounded(slot: int) -> int:
        return builder.emit(Op.FLOAT32, slot, slot) if single else slot

    if len(positives) == 1:
        rest = rounded(builder.with_constant(Op.ADD, builder.apply(Function.NEGATIVE, positives[0]), 1.0))
        positives = [rest, *positives]
    total = positives[0]
    for slot in positives[1:]:
        total = rounded(builder.two(Op.PLUS, total, slot))
    total, _ = divisor_of(builder, total)  # where each of them says 0, nothing is divided
    made = [rounded(builder.two(Op.OVER, slot, total)) for slot in positives]
    return of_slots(made, "classifier", single=single)
