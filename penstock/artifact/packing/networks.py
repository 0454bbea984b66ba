"""Gaussian naive Bayes and multi-layer perceptrons."""

from collections.abc import Callable
from typing import Any

import numpy as np

from penstock.artifact.packing.estimators import of_slots
from penstock.artifact.packing.model import Model, sklearn_name
from penstock.artifact.packing.program import Block, ProgramBuilder, unsupported
from penstock.artifact.program import Function, Link, Op

_ACTIVATIONS = {"relu": Function.RELU, "tanh": Function.TANH, "logistic": Function.SIGMOID}


def _naive_bayes(builder: ProgramBuilder, estimator: Any, block: Block) -> Model:
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
    return of_slots(made, "classifier", link=Link.SOFTMAX)


def _perceptron(builder: ProgramBuilder, estimator: Any, block: Block) -> Model:
    """MLPClassifier and MLPRegressor: a linear model per layer."""
    columns = builder.numbers(estimator, block)
    builder.finite(columns, allow_nan=False)
    classifier = sklearn_name(estimator) == "MLPClassifier"
    weights = [np.asarray(one) for one in estimator.coefs_]
    if weights[0].dtype != np.float64:
        raise unsupported(estimator, "weights in float64", str(weights[0].dtype))
    if not classifier and weights[-1].shape[1] != 1:
        raise unsupported(estimator, "one output", str(weights[-1].shape[1]))
    links = {"identity": Link.IDENTITY, "logistic": Link.LOGIT, "softmax": Link.SOFTMAX}
    if estimator.out_activation_ not in links or (classifier and np.asarray(estimator.classes_).ndim != 1):
        raise unsupported(estimator, "one output", repr(estimator.out_activation_))
    slots = [column.slot for column in columns]
    for layer, (weight, intercept) in enumerate(zip(weights, estimator.intercepts_, strict=True)):
        arrays = {
            "coefficients": np.ascontiguousarray(weight.T),
            "base": np.array(intercept, dtype=np.float64),
            "inputs": np.array(slots, dtype=np.int64),
        }
        if layer == len(weights) - 1:
            return Model(
                "linear", "classifier" if classifier else "regressor", links[estimator.out_activation_], arrays
            )
        slots = builder.ask(Model("linear", "classifier", Link.IDENTITY, arrays), raw=True)
        if estimator.activation != "identity":
            slots = [builder.apply(_ACTIVATIONS[estimator.activation], slot) for slot in slots]
    raise unsupported(estimator, "at least one layer")


NETWORKS: dict[str, Callable[[ProgramBuilder, Any, Block], Model]] = {
    "GaussianNB": _naive_bayes,
    "MLPClassifier": _perceptron,
    "MLPRegressor": _perceptron,
}
