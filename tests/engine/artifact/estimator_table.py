"""The estimators that are packed natively: what the tests try, and what `docs/models.md` lists."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
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
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier, MLPRegressor
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
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor
from sklearn.utils import all_estimators
from xgboost import XGBClassifier, XGBRegressor, XGBRFClassifier, XGBRFRegressor

from penstock.artifact.packing.linear import LINEAR

Task = Literal["binary", "classes", "value"]


@dataclass(frozen=True)
class Entry:
    """An unfitted estimator, its task, and how far its answers may be from its library's."""

    make: Callable[[], Any]
    task: Task = "binary"
    apart: float = 1e-13


def hist(**more: Any) -> Any:
    return HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=5, random_state=0, **more)


def forest() -> Any:
    return RandomForestClassifier(5, max_depth=4, random_state=0)


def gbm() -> Any:
    return LGBMClassifier(n_estimators=5, min_child_samples=5, n_jobs=1, verbose=-1)


def xgb() -> Any:
    return XGBClassifier(n_estimators=5, n_jobs=1)


def logistic() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression())


def members() -> list[tuple[str, Any]]:
    return [("hist", hist()), ("forest", forest()), ("gbm", gbm()), ("line", logistic())]


def regressors() -> list[tuple[str, Any]]:
    return [
        ("hist", HistGradientBoostingRegressor(max_iter=5)),
        ("gbm", LGBMRegressor(n_estimators=5, verbose=-1)),
        ("forest", RandomForestRegressor(3, random_state=0)),
    ]


PACKED: dict[str, Entry] = {
    "GridSearchCV": Entry(lambda: GridSearchCV(hist(), {"max_depth": [2, 3]}, cv=2)),
    "RandomizedSearchCV over a pipeline": Entry(
        lambda: RandomizedSearchCV(logistic(), {"logisticregression__C": [0.1, 1.0]}, n_iter=2, cv=2, random_state=0)
    ),
    "FixedThresholdClassifier": Entry(lambda: FixedThresholdClassifier(gbm(), threshold=0.3)),
    "TunedThresholdClassifierCV": Entry(lambda: TunedThresholdClassifierCV(hist(), cv=2)),
    "CalibratedClassifierCV, sigmoid": Entry(lambda: CalibratedClassifierCV(hist(), cv=2)),
    "CalibratedClassifierCV, isotonic": Entry(lambda: CalibratedClassifierCV(forest(), method="isotonic", cv=3)),
    "CalibratedClassifierCV of LightGBM, isotonic, no ensemble": Entry(
        lambda: CalibratedClassifierCV(gbm(), method="isotonic", cv=2, ensemble=False)
    ),
    "CalibratedClassifierCV of XGBoost, sigmoid": Entry(lambda: CalibratedClassifierCV(xgb(), cv=2)),
    "CalibratedClassifierCV of XGBoost, isotonic": Entry(
        lambda: CalibratedClassifierCV(xgb(), method="isotonic", cv=2)
    ),
    "CalibratedClassifierCV of LinearSVC": Entry(lambda: CalibratedClassifierCV(LinearSVC(), cv=2), apart=1e-12),
    "CalibratedClassifierCV, sigmoid, several classes": Entry(
        lambda: CalibratedClassifierCV(logistic(), cv=2), "classes", 1e-12
    ),
    "CalibratedClassifierCV, isotonic, several classes": Entry(
        lambda: CalibratedClassifierCV(gbm(), method="isotonic", cv=2), "classes"
    ),
    "CalibratedClassifierCV of XGBoost, several classes": Entry(lambda: CalibratedClassifierCV(xgb(), cv=2), "classes"),
    "VotingClassifier": Entry(lambda: VotingClassifier(members(), voting="soft")),
    "VotingClassifier with weights": Entry(
        lambda: VotingClassifier(members(), voting="soft", weights=[1, 2, 0.5, 3]), "classes"
    ),
    "VotingClassifier of XGBoost alone": Entry(
        lambda: VotingClassifier([("a", xgb()), ("b", XGBClassifier(max_depth=2, n_estimators=3))], voting="soft")
    ),
    "VotingRegressor": Entry(lambda: VotingRegressor(regressors()), "value"),
    "StackingClassifier": Entry(lambda: StackingClassifier(members(), LogisticRegression(), cv=2)),
    "StackingClassifier with passthrough": Entry(
        lambda: StackingClassifier(members(), hist(), cv=2, passthrough=True), "classes"
    ),
    "StackingClassifier with probabilities": Entry(
        lambda: StackingClassifier(members(), gbm(), cv=2, stack_method="predict_proba"), "classes"
    ),
    "StackingRegressor": Entry(lambda: StackingRegressor(regressors(), Ridge(), cv=2), "value", 1e-12),
    "BaggingClassifier": Entry(lambda: BaggingClassifier(n_estimators=5, max_features=0.7, random_state=0)),
    "BaggingClassifier of LightGBM": Entry(lambda: BaggingClassifier(gbm(), 3, random_state=0), "classes"),
    "BaggingRegressor": Entry(lambda: BaggingRegressor(n_estimators=5, random_state=0), "value"),
    "AdaBoostClassifier": Entry(lambda: AdaBoostClassifier(n_estimators=8, random_state=0)),
    "AdaBoostClassifier, several classes": Entry(
        lambda: AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=8, random_state=0), "classes"
    ),
    "TransformedTargetRegressor, log1p and expm1": Entry(
        lambda: TransformedTargetRegressor(
            LGBMRegressor(n_estimators=5, verbose=-1), func=np.log1p, inverse_func=np.expm1
        ),
        "value",
    ),
    "TransformedTargetRegressor, log and exp": Entry(
        lambda: TransformedTargetRegressor(HistGradientBoostingRegressor(max_iter=5), func=np.log, inverse_func=np.exp),
        "value",
    ),
    "TransformedTargetRegressor, sqrt and square": Entry(
        lambda: TransformedTargetRegressor(Ridge(), func=np.sqrt, inverse_func=np.square), "value", 1e-12
    ),
    "TransformedTargetRegressor, StandardScaler": Entry(
        lambda: TransformedTargetRegressor(RandomForestRegressor(3), transformer=StandardScaler()), "value"
    ),
    "TransformedTargetRegressor of XGBoost, StandardScaler": Entry(
        lambda: TransformedTargetRegressor(XGBRegressor(n_estimators=5), transformer=StandardScaler()), "value"
    ),
    "TransformedTargetRegressor of XGBoost, log1p and expm1": Entry(
        lambda: TransformedTargetRegressor(XGBRegressor(n_estimators=5), func=np.log1p, inverse_func=np.expm1),
        "value",
        1e-6,
    ),
    "LinearDiscriminantAnalysis": Entry(LinearDiscriminantAnalysis, "classes", 1e-12),
    "GaussianNB": Entry(GaussianNB, "classes", 1e-12),
    "MLPClassifier": Entry(lambda: MLPClassifier((5, 4), max_iter=30, random_state=0), "binary", 1e-12),
    "MLPClassifier, several classes": Entry(
        lambda: MLPClassifier((6,), activation="tanh", max_iter=30, random_state=0), "classes", 1e-12
    ),
    "MLPRegressor": Entry(lambda: MLPRegressor(hidden_layer_sizes=(4,), max_iter=30, random_state=0), "value", 1e-11),
}


def calibrated(kind: Any) -> Callable[[], Any]:
    return lambda: CalibratedClassifierCV(kind(), cv=2)


def before(*steps: Any) -> Entry:
    """Steps before a classifier that answers what they make in full."""
    return Entry(lambda: make_pipeline(*(clone(step) for step in steps), LogisticRegression()), apart=1e-11)


STEPS: dict[str, Entry] = {
    "RobustScaler": before(RobustScaler()),
    "MaxAbsScaler": before(MaxAbsScaler()),
    "Normalizer": before(Normalizer()),
    "Normalizer, l1": before(Normalizer("l1")),
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
LINES: dict[str, Entry] = {
    name: Entry(kind, "value", 1e-10) for name, kind in all_estimators("regressor") if name in LINEAR
}
LINES |= {
    name: Entry(kind, "binary" if name == "LinearDiscriminantAnalysis" else "classes", 1e-12)
    for name, kind in all_estimators("classifier")
    if name in LINEAR and hasattr(kind, "predict_proba") and name != "SGDClassifier"
}
LINES |= {
    f"CalibratedClassifierCV of {name}": Entry(calibrated(kind), apart=1e-11)
    for name, kind in all_estimators("classifier")
    if name in LINEAR and not hasattr(kind(), "predict_proba")
}
LINES["SGDClassifier"] = Entry(lambda: SGDClassifier(loss="log_loss", random_state=0), "classes", 1e-12)
TREES: dict[str, Entry] = {
    kind.__name__: Entry(partial(kind, random_state=0), "value" if "Regressor" in kind.__name__ else "classes")
    for kind in (DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor)
}
TREES |= {
    kind.__name__: Entry(
        partial(kind, n_estimators=4, random_state=0), "value" if "Regressor" in kind.__name__ else "binary"
    )
    for kind in (
        ExtraTreesClassifier,
        ExtraTreesRegressor,
        GradientBoostingClassifier,
        GradientBoostingRegressor,
        RandomForestRegressor,
        XGBRegressor,
        XGBRFClassifier,
        XGBRFRegressor,
    )
}
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
STEPS |= {
    "ColumnTransformer of OneHotEncoder and MinMaxScaler": before(CODES),
    "OrdinalEncoder": before(OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)),
    "TargetEncoder": before(TargetEncoder()),
    "SimpleImputer": before(SimpleImputer()),
    **{type(selector).__name__: before(selector) for selector in SELECTORS},
}
HALVING: dict[str, Entry] = {
    "HalvingGridSearchCV": Entry(lambda: HalvingGridSearchCV(hist(), {"max_depth": [2, 3]}, cv=2, random_state=0)),
    "HalvingRandomSearchCV": Entry(
        lambda: HalvingRandomSearchCV(hist(), {"max_depth": [2, 3, 4]}, cv=2, random_state=0, n_candidates=2)
    ),
}
PACKED |= STEPS | LINES | TREES | HALVING


def fitted(entry: Entry, rng: np.random.Generator) -> tuple[Any, np.ndarray]:
    """The estimator fitted to random rows without missing values, and their matrix."""
    matrix = rng.normal(size=(150, 4))
    matrix[:, 1] = rng.integers(-3, 4, size=150)
    score = matrix[:, 0] + 0.3 * matrix[:, 1] ** 2 + 0.3 * rng.normal(size=150)
    target: np.ndarray = np.abs(score) + 0.1
    if entry.task != "value":
        shares = [0.5] if entry.task == "binary" else [0.33, 0.66]
        target = np.digitize(score, np.quantile(score, shares))
    return entry.make().fit(matrix, target), matrix
