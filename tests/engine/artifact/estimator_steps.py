"""Packed transformers, each before a classifier."""

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.feature_selection import (
    RFE,
    RFECV,
    GenericUnivariateSelect,
    SelectFdr,
    SelectFpr,
    SelectFromModel,
    SelectFwe,
    SelectKBest,
    SelectPercentile,
    SequentialFeatureSelector,
    VarianceThreshold,
)
from sklearn.frozen import FrozenEstimator
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.random_projection import SparseRandomProjection
from sklearn.tree import DecisionTreeClassifier

from tests.engine.artifact.estimator_entries import Entry


def before(*steps: Any) -> Entry:
    """Steps before a classifier that answers what they make in full."""
    return Entry(lambda: make_pipeline(*(clone(step) for step in steps), LogisticRegression()), apart=1e-11)


CODES = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), [1]), remainder=MinMaxScaler())
SELECTORS = (
    GenericUnivariateSelect(mode="k_best", param=2),
    RFECV(DecisionTreeClassifier(max_depth=3), cv=2),
    SelectFdr(),
    SelectFpr(),
    SelectFwe(alpha=0.5),
    SelectPercentile(percentile=50),
    SequentialFeatureSelector(DecisionTreeClassifier(max_depth=2), n_features_to_select=2, cv=2),
)
STEPS: dict[str, Entry] = {
    "RobustScaler": before(RobustScaler()),
    "MaxAbsScaler": before(MaxAbsScaler()),
    "Normalizer": before(Normalizer()),
    "Normalizer, l1": before(Normalizer("l1")),
    "QuantileTransformer": before(QuantileTransformer(n_quantiles=30)),
    "PowerTransformer": before(PowerTransformer()),
    "PowerTransformer without standardizing": before(PowerTransformer(standardize=False)),
    "KBinsDiscretizer": before(KBinsDiscretizer(4, quantile_method="averaged_inverted_cdf")),
    "KBinsDiscretizer, ordinal": before(KBinsDiscretizer(3, encode="ordinal", strategy="uniform")),
    "PolynomialFeatures": before(PolynomialFeatures(3)),
    "PolynomialFeatures, interactions": before(PolynomialFeatures(2, interaction_only=True, include_bias=False)),
    "PCA": before(PCA(3)),
    "PCA, whitened": before(StandardScaler(), PCA(2, whiten=True)),
    "TruncatedSVD": before(TruncatedSVD(2, random_state=0)),
    "SelectKBest": before(SelectKBest(k=2)),
    "SelectFromModel": before(SelectFromModel(DecisionTreeClassifier(max_depth=3))),
    "RFE": before(RFE(DecisionTreeClassifier(max_depth=3), n_features_to_select=2)),
    "VarianceThreshold": before(VarianceThreshold(0.5)),
    "FunctionTransformer of numpy": before(FunctionTransformer(np.abs), FunctionTransformer(np.log1p)),
    "FeatureUnion": before(
        FeatureUnion(
            [
                ("scaled", RobustScaler()),
                ("drop", "drop"),
                ("as is", "passthrough"),
                ("bins", KBinsDiscretizer(3, encode="onehot-dense", quantile_method="averaged_inverted_cdf")),
            ],
            transformer_weights={"scaled": 0.3},
        )
    ),
}
STEPS |= {
    "ColumnTransformer of OneHotEncoder and MinMaxScaler": before(CODES),
    "OrdinalEncoder": before(OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)),
    "OrdinalEncoder of truth values": before(
        OrdinalEncoder(dtype=bool, handle_unknown="use_encoded_value", unknown_value=-1)
    ),
    "TargetEncoder": before(TargetEncoder()),
    "TfidfTransformer of codes": before(OneHotEncoder(handle_unknown="ignore"), TfidfTransformer()),
    "TfidfTransformer of counts": before(FunctionTransformer(np.abs), TfidfTransformer(sublinear_tf=True, norm="l1")),
    "SparseRandomProjection of codes": before(
        OneHotEncoder(handle_unknown="ignore"), SparseRandomProjection(3, random_state=0), MaxAbsScaler()
    ),
    "SimpleImputer": before(SimpleImputer()),
    "MissingIndicator": before(FeatureUnion([("missing", MissingIndicator(features="all")), ("as is", "passthrough")])),
    "MissingIndicator of zeros": before(MissingIndicator(missing_values=0, features="all", sparse=True)),
    "FrozenEstimator": before(FrozenEstimator(StandardScaler().fit(np.arange(8.0).reshape(2, 4)))),
    **{type(selector).__name__: before(selector) for selector in SELECTORS},
}
