"""Multi-layer perceptrons."""

from collections.abc import Callable
from typing import Any

import numpy as np

from penstock.artifact.packing.model import Model, sklearn_name
from penstock.artifact.packing.program import Block, ProgramBuilder, unsupported
from penstock.artifact.program import Function, Link

_ACTIVATIONS = {"relu": Function.RELU, "tanh": Function.TANH, "logistic": Function.SIGMOID}


def _perceptron(builder: ProgramBuilder, estimator: Any, block: Block) -> Model:
    """MLPClassifier and MLPRegressor: a linear model per layer."""
    columns = builder.numbers(estimator, block)
    builder.finite(columns, allow_nan=False)
    classifier = sklearn_name(estimator) == "MLPClassifier"
    weights = [np.asarray(one) for one in estimator.coefs_]
    if weights[0].dtype != np.float64:
        raise unsupported(estimator, "weights in float64", str(weights[0].dtype))
    links = {"identity": Link.IDENTITY, "logistic": Link.LOGIT, "softmax": Link.SOFTMAX, "exp": Link.LOG}
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
    "MLPClassifier": _perceptron,
    "MLPRegressor": _perceptron,
}
