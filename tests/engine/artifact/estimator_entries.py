"""What an entry of the table of packed estimators is, and the members of those that have some."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    StandardScaler,
)
from xgboost import XGBClassifier

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


def calibrated(kind: Any) -> Callable[[], Any]:
    return lambda: CalibratedClassifierCV(kind(), cv=2)


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
