"""Packed estimators over estimators, and networks."""

import numpy as np
from lightgbm import LGBMRegressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    BaggingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
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
from sklearn.preprocessing import (
    StandardScaler,
)
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier, XGBRegressor

from tests.engine.artifact.estimator_entries import Entry, forest, gbm, hist, logistic, members, regressors, xgb

SOME = np.random.default_rng(7).normal(size=(80, 4)), np.arange(80) % 2
ENSEMBLES: dict[str, Entry] = {
    "GridSearchCV": Entry(lambda: GridSearchCV(hist(), {"max_depth": [2, 3]}, cv=2)),
    "RandomizedSearchCV over a pipeline": Entry(
        lambda: RandomizedSearchCV(logistic(), {"logisticregression__C": [0.1, 1.0]}, n_iter=2, cv=2, random_state=0)
    ),
    "FixedThresholdClassifier": Entry(lambda: FixedThresholdClassifier(gbm(), threshold=0.3)),
    "TunedThresholdClassifierCV": Entry(lambda: TunedThresholdClassifierCV(hist(), cv=2)),
    "CalibratedClassifierCV, sigmoid": Entry(lambda: CalibratedClassifierCV(hist(), cv=2)),
    "CalibratedClassifierCV of a frozen LightGBM": Entry(
        lambda: CalibratedClassifierCV(FrozenEstimator(gbm().fit(*SOME)), method="isotonic")
    ),
    "CalibratedClassifierCV of a frozen XGBoost": Entry(
        lambda: CalibratedClassifierCV(FrozenEstimator(xgb().fit(*SOME)), method="sigmoid")
    ),
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
    "MLPRegressor of counts": Entry(
        lambda: MLPRegressor(loss="poisson", hidden_layer_sizes=(4,), max_iter=30, random_state=0), "value", 1e-11
    ),
    "MLPRegressor": Entry(lambda: MLPRegressor(hidden_layer_sizes=(4,), max_iter=30, random_state=0), "value", 1e-11),
}
ENSEMBLES |= {
    "HalvingGridSearchCV": Entry(lambda: HalvingGridSearchCV(hist(), {"max_depth": [2, 3]}, cv=2, random_state=0)),
    "HalvingRandomSearchCV": Entry(
        lambda: HalvingRandomSearchCV(hist(), {"max_depth": [2, 3, 4]}, cv=2, random_state=0, n_candidates=2)
    ),
}
