"""Linear models: coefficients, intercepts and the link to the prediction."""

from typing import Any, Literal

import numpy as np

from penstock.artifact import compat
from penstock.artifact.packing.model import Model, sklearn_name
from penstock.artifact.packing.program import Block, ProgramBuilder, unsupported
from penstock.artifact.program import Link, Op

_REGRESSORS = (
    "ARDRegression",
    "BayesianRidge",
    "ElasticNet",
    "ElasticNetCV",
    "HuberRegressor",
    "Lars",
    "Lasso",
    "LassoCV",
    "LassoLars",
    "LassoLarsCV",
    "LassoLarsIC",
    "LarsCV",
    "LinearRegression",
    "LinearSVR",
    "OrthogonalMatchingPursuit",
    "OrthogonalMatchingPursuitCV",
    "PLSRegression",
    "PassiveAggressiveRegressor",
    "QuantileRegressor",
    "Ridge",
    "RidgeCV",
    "SGDRegressor",
    "TheilSenRegressor",
)
_GLMS = ("PoissonRegressor", "GammaRegressor", "TweedieRegressor")
_SCORERS = ("LinearSVC", "RidgeClassifier", "RidgeClassifierCV", "Perceptron", "PassiveAggressiveClassifier")
"""Classifiers without probabilities, which those around them ask for scores."""
_LOGISTIC = ("LogisticRegression", "LogisticRegressionCV", "LinearDiscriminantAnalysis")
LINEAR = (*_LOGISTIC, "SGDClassifier", *_REGRESSORS, *_GLMS, *_SCORERS)


def pack_linear(builder: ProgramBuilder, estimator: Any, block: Block) -> Model:
    """Scores are the products summed in column order, then the intercept: BLAS sums otherwise, within 1e-12.

    Where float32 is read, as by the last of a stack of XGBoost alone, scores are rounded to that.
    """
    columns = builder.numbers(estimator, block)
    builder.finite(columns, allow_nan=False)
    coefficients = estimator.coef_.toarray() if hasattr(estimator.coef_, "toarray") else np.asarray(estimator.coef_)
    kind, link = _link(estimator)
    single = builder.in_single and coefficients.dtype == np.float32
    if coefficients.dtype != np.float64 and not single:
        raise unsupported(estimator, "coefficients in float64", str(coefficients.dtype))
    coefficients = np.ascontiguousarray(np.atleast_2d(coefficients), dtype=np.float64)
    intercepts = np.zeros(len(coefficients)) + np.asarray(estimator.intercept_, dtype=np.float64)
    if sklearn_name(estimator) == "PLSRegression":  # its intercept is that of centred columns
        intercepts = np.ravel(estimator.predict(np.zeros((1, len(columns)))))
    inputs = np.array([column.slot for column in columns], dtype=np.int64)
    arrays = {"coefficients": coefficients, "base": intercepts, "inputs": inputs}
    if not single:
        return Model("linear", kind, link, arrays)
    scores = builder.ask(Model("linear", kind, Link.IDENTITY, arrays), raw=True)
    rounded = np.array([builder.emit(Op.FLOAT32, slot, slot) for slot in scores], dtype=np.int64)
    return Model("slots", kind, link, {"inputs": rounded, "base": np.zeros(len(rounded))}, single=True)


def _link(estimator: Any) -> tuple[Literal["classifier", "regressor"], Link]:
    name = sklearn_name(estimator)
    if name in _REGRESSORS:
        return "regressor", Link.IDENTITY
    if name in _GLMS:
        identity = type(compat.GLM_LINK.of(estimator)).__name__ == "IdentityLink"
        return "regressor", Link.IDENTITY if identity else Link.LOG
    binary = len(estimator.classes_) <= 2
    if name in _SCORERS or (name == "SGDClassifier" and not hasattr(estimator, "predict_proba")):
        return "classifier", Link.IDENTITY
    if name in _LOGISTIC:
        return "classifier", Link.LOGIT if binary else Link.SOFTMAX
    if estimator.loss == "log_loss":
        return "classifier", Link.LOGIT if binary else Link.ONE_VS_REST
    if estimator.loss == "modified_huber":
        return "classifier", Link.CLIPPED if binary else Link.CLIPPED_ONE_VS_REST
    raise unsupported(estimator, "loss 'log_loss' or 'modified_huber', which have probabilities", repr(estimator.loss))
