"""Packed curves, projections, naive Bayes and estimators over estimators that the other tables have no room for."""

from functools import partial
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import FactorAnalysis, FastICA, IncrementalPCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    HistGradientBoostingClassifier,
    StackingClassifier,
)
from sklearn.linear_model import LogisticRegression, RANSACRegressor, Ridge, RidgeClassifier
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import BernoulliNB, ComplementNB, MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PowerTransformer,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
)
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeRegressor

from penstock.artifact.packing.inverse import OPERATIONS, UFUNCS
from tests.engine.artifact.estimator_entries import Entry, Task, forest, xgb
from tests.engine.artifact.estimator_steps import before

ABOVE_ONE = (np.arccosh,)
CLIPPED = MinMaxScaler((0.1, 0.9), clip=True)
"""Into where every function of numpy has a value."""

MORE: dict[str, Entry] = {
    f"SplineTransformer, {extrapolation}, degree {degree}": before(
        SplineTransformer(4, degree=degree, extrapolation=extrapolation, include_bias=degree != 2)
    )
    for extrapolation in ("constant", "linear", "continue", "periodic")
    for degree in (1, 2, 3)
    if (extrapolation, degree) != ("linear", 1)
}
MORE |= {
    "SplineTransformer of quantiles, sparse": before(SplineTransformer(knots="quantile", sparse_output=True)),
    "QuantileTransformer, normal": before(QuantileTransformer(n_quantiles=30, output_distribution="normal")),
    "PowerTransformer, box-cox": before(MinMaxScaler((0.5, 4), clip=True), PowerTransformer("box-cox")),
    "Normalizer, max": before(Normalizer("max")),
    "Binarizer": before(Binarizer(threshold=0.2)),
    **{
        f"KBinsDiscretizer, {strategy}, {encode}": before(
            KBinsDiscretizer(4, strategy=strategy, encode=encode, quantile_method="averaged_inverted_cdf")
        )
        for strategy in ("uniform", "quantile", "kmeans")
        for encode in ("onehot", "onehot-dense", "ordinal")
    },
    **{
        f"FunctionTransformer of {function.__name__}": before(
            CLIPPED,
            *([MinMaxScaler((1, 3), clip=True)] if function in ABOVE_ONE else []),
            FunctionTransformer(function),
        )
        for function in (*UFUNCS, *OPERATIONS)
    },
    "IncrementalPCA": before(IncrementalPCA(2, whiten=True)),
    "FastICA": before(FastICA(2, random_state=0)),
    "FactorAnalysis": before(FactorAnalysis(2)),
    "GaussianRandomProjection": before(GaussianRandomProjection(2, random_state=0)),
    "SparseRandomProjection": before(SparseRandomProjection(2, random_state=0)),
    "LinearDiscriminantAnalysis before another": before(LinearDiscriminantAnalysis()),
    "LinearDiscriminantAnalysis by eigenvectors": before(LinearDiscriminantAnalysis(solver="eigen")),
    "MultinomialNB": Entry(lambda: make_pipeline(MinMaxScaler(clip=True), MultinomialNB()), "classes", 1e-12),
    "ComplementNB": Entry(lambda: make_pipeline(MinMaxScaler(clip=True), ComplementNB()), "classes", 1e-12),
    "BernoulliNB": Entry(BernoulliNB, "classes", 1e-12),
    "QuadraticDiscriminantAnalysis": Entry(QuadraticDiscriminantAnalysis, "classes", 1e-10),
    "DummyClassifier": Entry(DummyClassifier, "classes"),
    "DummyClassifier, most frequent": Entry(lambda: DummyClassifier(strategy="most_frequent"), "classes"),
    "DummyRegressor": Entry(lambda: DummyRegressor(strategy="median"), "value"),
    "OneVsRestClassifier": Entry(lambda: OneVsRestClassifier(LogisticRegression()), "classes", 1e-12),
    "OneVsRestClassifier of XGBoost": Entry(lambda: OneVsRestClassifier(xgb()), "classes", 0.0),
    "OneVsRestClassifier of XGBoost, two classes": Entry(lambda: OneVsRestClassifier(xgb()), "binary", 0.0),
    "OneVsRestClassifier of two classes": Entry(lambda: OneVsRestClassifier(forest())),
    "BaggingClassifier that votes": Entry(lambda: BaggingClassifier(LinearSVC(), 3, random_state=0), "classes"),
    "BaggingClassifier that votes on two": Entry(lambda: BaggingClassifier(LinearSVC(), 3, random_state=0)),
    "BaggingClassifier that votes by a threshold": Entry(
        lambda: BaggingClassifier(FixedThresholdClassifier(RidgeClassifier(), threshold=0.3), 3, random_state=0)
    ),
    "BaggingClassifier that votes by a threshold of the first": Entry(
        lambda: BaggingClassifier(
            make_pipeline(FixedThresholdClassifier(RidgeClassifier(), threshold=-0.2, pos_label=0)), 3, random_state=0
        )
    ),
    "CalibratedClassifierCV, temperature": Entry(
        lambda: CalibratedClassifierCV(LogisticRegression(), method="temperature", cv=2), "classes", 1e-12
    ),
    "CalibratedClassifierCV, temperature, two classes": Entry(
        lambda: CalibratedClassifierCV(HistGradientBoostingClassifier(max_iter=5), method="temperature", cv=2)
    ),
    "CalibratedClassifierCV, temperature of probabilities": Entry(
        lambda: CalibratedClassifierCV(forest(), method="temperature", cv=2), "classes"
    ),
    "AdaBoostRegressor": Entry(lambda: AdaBoostRegressor(n_estimators=12, random_state=0), "value"),
    "AdaBoostRegressor, square": Entry(
        lambda: AdaBoostRegressor(DecisionTreeRegressor(max_depth=2), n_estimators=7, loss="square", random_state=0),
        "value",
    ),
    "RANSACRegressor": Entry(lambda: RANSACRegressor(random_state=0), "value", 1e-10),
}
TRANSFORMERS = {
    "MaxAbsScaler": MaxAbsScaler(),
    "PowerTransformer": PowerTransformer(),
    "PowerTransformer, box-cox": PowerTransformer("box-cox", standardize=False),
    "QuantileTransformer": QuantileTransformer(n_quantiles=30),
    "Pipeline": make_pipeline(FunctionTransformer(np.log, np.exp), StandardScaler()),
}
MORE |= {
    f"TransformedTargetRegressor, {name} of a target": Entry(
        lambda one=one: TransformedTargetRegressor(Ridge(), transformer=one), "value", 1e-11
    )
    for name, one in TRANSFORMERS.items()
}
TASKS: tuple[Task, ...] = ("binary", "classes")
DECIDING: dict[str, Any] = {
    "QuadraticDiscriminantAnalysis": QuadraticDiscriminantAnalysis(),
    "AdaBoostClassifier": AdaBoostClassifier(n_estimators=3, random_state=0),
    "BaggingClassifier": BaggingClassifier(LogisticRegression(), 3, max_features=0.7, random_state=0),
    "OneVsRestClassifier": OneVsRestClassifier(LogisticRegression()),
}
"""Classifiers whose decision_function is not what their probabilities are made of."""
for name, one in DECIDING.items():
    for task in TASKS:
        MORE[f"CalibratedClassifierCV of {name}, {task}"] = Entry(
            partial(CalibratedClassifierCV, make_pipeline(StandardScaler(), one), cv=2), task
        )
        MORE[f"StackingClassifier of {name}, {task}"] = Entry(
            partial(StackingClassifier, [("one", one)], stack_method="decision_function", cv=2), task
        )
