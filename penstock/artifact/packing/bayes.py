"""Classifiers by Bayes' rule: the logarithm of each class's likelihood. And those that always answer the same."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from penstock.artifact.packing.estimators import of_slots
from penstock.artifact.packing.model import Model, sklearn_name
from penstock.artifact.packing.program import Block, ProgramBuilder, unsupported
from penstock.artifact.program import Function, Link, Op

Array = np.ndarray[Any, Any]


def _gaussian(builder: ProgramBuilder, estimator: Any, block: Block) -> Model:
    """GaussianNB: the joint log likelihood of each class."""
    columns = builder.numbers(estimator, block)
    builder.finite(columns, allow_nan=False)
    made: list[int] = []
    for prior, means, variances in zip(estimator.class_prior_, estimator.theta_, estimator.var_, strict=True):
        total = -1
        for column, mean, variance in zip(columns, means, variances, strict=True):
            apart = builder.apply(Function.SQUARE, builder.with_constant(Op.SUBTRACT, column.slot, mean))
            share = builder.with_constant(Op.DIVIDE, apart, variance)
            total = share if total < 0 else builder.two(Op.PLUS, total, share)
        half = builder.with_constant(Op.MULTIPLY, total, -0.5)
        made.append(builder.with_constant(Op.ADD, half, np.log(prior) - 0.5 * np.sum(np.log(2.0 * np.pi * variances))))
    return _probabilities(builder, of_slots(made, "classifier"))


def _probabilities(builder: ProgramBuilder, model: Model) -> Model:
    """The exponentials of the scores less the logarithm of their sum, which scikit-learn rounds at their size: far from
    all classes, or where a column was constant in training, probabilities that sum to 1 are others."""
    scores = builder.ask(model, raw=True)
    explains = tuple(builder.asked(scores))
    largest = scores[0]
    for slot in scores[1:]:
        largest = builder.two(Op.GREATER, slot, largest)
    total = -1
    for slot in scores:
        share = builder.apply(Function.EXP, builder.two(Op.MINUS, slot, largest))
        total = share if total < 0 else builder.two(Op.PLUS, total, share)
    norm = builder.two(Op.PLUS, builder.apply(Function.LN, total), largest)
    made = [builder.apply(Function.EXP, builder.two(Op.MINUS, slot, norm)) for slot in scores]
    return replace(of_slots(made, "classifier"), explains=explains)


def _counts(builder: ProgramBuilder, estimator: Any, block: Block) -> Model:
    """MultinomialNB, ComplementNB and BernoulliNB: linear in the counts."""
    columns = builder.numbers(estimator, block)
    builder.finite(columns, allow_nan=False)
    name = sklearn_name(estimator)
    weights, base = np.array(estimator.feature_log_prob_), np.array(estimator.class_log_prior_)
    if name == "ComplementNB" and len(estimator.classes_) > 1:
        base = np.zeros(len(weights))
    if name == "BernoulliNB":
        absent = np.log(1 - np.exp(weights))
        weights, base = weights - absent, base + absent.sum(axis=1)
        if estimator.binarize is not None:
            for column in columns:
                builder.emit(Op.ABOVE, column.slot, column.slot, builder.constants(estimator.binarize))
    return _probabilities(builder, _linear(weights, base, [column.slot for column in columns]))


def _linear(weights: Array, base: Array, slots: list[int]) -> Model:
    arrays = {"coefficients": np.ascontiguousarray(weights), "base": base, "inputs": np.array(slots, dtype=np.int64)}
    return Model("linear", "classifier", Link.SOFTMAX, arrays)


def _quadratic(builder: ProgramBuilder, estimator: Any, block: Block) -> Model:
    """QuadraticDiscriminantAnalysis: the distance from each class's mean along its own axes."""
    columns = builder.numbers(estimator, block)
    builder.finite(columns, allow_nan=False)
    made: list[int] = []
    for rotation, scaling, mean, prior in zip(
        estimator.rotations_, estimator.scalings_, estimator.means_, estimator.priors_, strict=True
    ):
        slots = [builder.with_constant(Op.SUBTRACT, one.slot, at) for one, at in zip(columns, mean, strict=True)]
        axes = (rotation * scaling ** (-0.5)).T
        total = -1
        for slot in builder.ask(_linear(axes, np.zeros(len(axes)), slots), raw=True):
            square = builder.apply(Function.SQUARE, slot)
            total = square if total < 0 else builder.two(Op.PLUS, total, square)
        total = builder.with_constant(Op.MULTIPLY, builder.with_constant(Op.ADD, total, np.sum(np.log(scaling))), -0.5)
        made.append(builder.with_constant(Op.ADD, total, np.log(prior)))
    return of_slots(made, "classifier", link=Link.SOFTMAX)


def _always(builder: ProgramBuilder, estimator: Any, block: Block) -> Model:
    """DummyClassifier and DummyRegressor, where they answer all rows the same."""
    slots = [one.slot for one in builder.numbers(estimator, Block(block.columns[:1], block.sparse))]
    if not slots:
        raise unsupported(estimator, "at least one column", "none")
    if sklearn_name(estimator) == "DummyRegressor":
        values = np.ravel(estimator.constant_)
    elif estimator.strategy == "prior":
        values = np.asarray(estimator.class_prior_)
    elif estimator.strategy == "most_frequent":
        values = np.eye(len(estimator.classes_))[int(np.argmax(estimator.class_prior_))]
    elif estimator.strategy == "constant":
        values = (np.asarray(estimator.classes_) == np.ravel(estimator.constant)[0]).astype(np.float64)
    else:
        raise unsupported(estimator, "the same answer for all rows", repr(estimator.strategy))
    kind = "regressor" if sklearn_name(estimator) == "DummyRegressor" else "classifier"
    if kind == "regressor" and len(values) != 1:
        raise unsupported(estimator, "one output", str(len(values)))
    zero = builder.emit(Op.ABOVE, slots[0], builder.new(), builder.constants(np.inf))
    return of_slots([builder.with_constant(Op.ADD, zero, value) for value in values], kind)


BAYES: dict[str, Callable[[ProgramBuilder, Any, Block], Model]] = {
    "GaussianNB": _gaussian,
    "MultinomialNB": _counts,
    "ComplementNB": _counts,
    "BernoulliNB": _counts,
    "QuadraticDiscriminantAnalysis": _quadratic,
    "DummyClassifier": _always,
    "DummyRegressor": _always,
}
