"""Calibrated classifiers: each score through its sigmoid or its steps, then the mean of the folds."""

from dataclasses import replace
from typing import Any

import numpy as np

from penstock.artifact.packing.ensembles.votes import divisor_of
from penstock.artifact.packing.estimators import answers, of_slots, scores
from penstock.artifact.packing.model import Model, sklearn_name
from penstock.artifact.packing.program import Block, ProgramBuilder, unsupported
from penstock.artifact.program import Function, Link, Op


def pack_calibrated(builder: ProgramBuilder, estimator: Any, block: Block) -> Model:
    """The mean of the calibrated probabilities of one classifier per fold, or of one in all."""
    members: list[list[int]] = []
    bases: list[int] = []
    for one in estimator.calibrated_classifiers_:
        members.append(_calibrated(builder, one, block, bases))
    made = []
    for column in zip(*members, strict=True):
        total = builder.with_constant(Op.ADD, column[0], 0.0)
        for slot in column[1:]:
            total = builder.two(Op.PLUS, total, slot)
        made.append(builder.with_constant(Op.DIVIDE, total, len(members)))
    return replace(of_slots(made, "classifier"), explains=tuple(bases) if len(bases) == len(members) else ())


def _calibrated(builder: ProgramBuilder, calibrated: Any, block: Block, bases: list[int]) -> list[int]:
    """The slots of the probabilities, as `_CalibratedClassifier.predict_proba` computes them.

    `bases` gets the model that is calibrated, unless its answer is made of slots.
    """
    if calibrated.method not in ("sigmoid", "isotonic", "temperature"):
        raise unsupported(calibrated, "method 'sigmoid', 'isotonic' or 'temperature'", repr(calibrated.method))
    classes, inner = calibrated.classes, calibrated.estimator
    if hasattr(inner, "decision_function"):
        given, single = scores(builder, inner, block)
    else:
        given, single = answers(builder, inner, block)
    bases += builder.asked(given)
    if not hasattr(inner, "decision_function") and calibrated.method != "temperature":
        given = given[1:] if len(inner.classes_) == 2 else given
    if calibrated.method == "temperature":
        return _tempered(builder, calibrated, given, single=single)
    if len(classes) == 2:
        positive = _curve(builder, calibrated.calibrators[0], given[0], single=single)
        return [_complement(builder, positive), positive]
    zero = builder.with_constant(Op.MULTIPLY, given[0], 0.0)
    made = [zero] * len(classes)
    places = np.searchsorted(classes, inner.classes_).tolist()
    for place, score, calibrator in zip(places, given, calibrated.calibrators, strict=True):
        made[place] = _curve(builder, calibrator, score, single=single)
    return _normalised(builder, made)


def _tempered(builder: ProgramBuilder, calibrated: Any, given: list[int], *, single: bool) -> list[int]:
    """The softmax of the scores, or of the logarithms of probabilities, times the inverse temperature."""
    inner = calibrated.estimator
    if single or len(inner.classes_) != len(calibrated.classes):
        raise unsupported(calibrated, "scores in float64 for every class", type(inner).__name__)
    if not hasattr(inner, "decision_function"):
        given = [builder.apply(Function.LN, builder.with_constant(Op.ADD, slot, 1e-12)) for slot in given]
    elif len(given) == 1:
        given = [builder.apply(Function.NEGATIVE, given[0]), given[0]]
    beta = calibrated.calibrators[0].beta_
    slots = [builder.with_constant(Op.MULTIPLY, slot, beta) for slot in given]
    return builder.ask(of_slots(slots, "classifier", link=Link.SOFTMAX))


def _curve(builder: ProgramBuilder, calibrator: Any, score: int, *, single: bool) -> int:
    if sklearn_name(calibrator) == "IsotonicRegression":
        xs, ys = calibrator.X_thresholds_, calibrator.y_thresholds_
        if calibrator.out_of_bounds != "clip":
            raise unsupported(calibrator, "out_of_bounds='clip'", repr(calibrator.out_of_bounds))
        points = np.concatenate([xs, ys]).astype(np.float64)
        in_single = xs.dtype == np.float32
        start = builder.constants(points)
        found = builder.emit(Op.INTERPOLATE, score, builder.new(), start, len(points), int(in_single))
        # scikit-learn refuses a score that is no finite number: its product with 0 is none either
        return builder.two(Op.PLUS, found, builder.with_constant(Op.MULTIPLY, score, 0.0))
    slope, offset = calibrator.a_, calibrator.b_
    if single and not isinstance(slope, np.float64):
        raise unsupported(calibrator, "a sigmoid in float64", type(slope).__name__)
    slot = builder.with_constant(Op.MULTIPLY, score, slope)
    slot = builder.with_constant(Op.ADD, slot, offset)
    return builder.apply(Function.SIGMOID, builder.apply(Function.NEGATIVE, slot))


def _complement(builder: ProgramBuilder, slot: int) -> int:
    """1 - slot."""
    return builder.with_constant(Op.ADD, builder.apply(Function.NEGATIVE, slot), 1.0)


def _normalised(builder: ProgramBuilder, slots: list[int]) -> list[int]:
    """Each divided by the sum; all the same where that is zero, but no numbers where that is none."""
    total = builder.with_constant(Op.ADD, slots[0], 0.0)
    for slot in slots[1:]:
        total = builder.two(Op.PLUS, total, slot)
    total, none = divisor_of(builder, total)
    share = builder.with_constant(Op.MULTIPLY, none, 1.0 / len(slots))
    return [builder.two(Op.PLUS, builder.two(Op.OVER, slot, total), share) for slot in slots]
