"""Packed linear models and trees."""

from functools import partial

from catboost import CatBoostClassifier, CatBoostRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.linear_model import SGDClassifier
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor
from sklearn.utils import all_estimators
from xgboost import XGBRegressor, XGBRFClassifier, XGBRFRegressor

from penstock.artifact.packing.linear import LINEAR
from tests.engine.artifact.estimator_entries import Entry, calibrated

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
QUIET = {"verbose": 0, "thread_count": 1, "allow_writing_files": False}
TREES |= {
    kind.__name__: Entry(partial(kind, iterations=4, **QUIET), "value" if "Regressor" in kind.__name__ else "classes")
    for kind in (CatBoostClassifier, CatBoostRegressor)
}
