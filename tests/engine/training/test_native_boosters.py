"""A fit function may return a native booster: from there on it is an estimator like any other."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from catboost import CatBoost, CatBoostClassifier
from lightgbm import LGBMClassifier
from xgboost import XGBClassifier

from penstock.artifact.native import Artifact
from penstock.declare.fitting import FitRows
from penstock.errors import PenstockError
from tests.engine.training.tanks import trained
from tests.slow import slow_after

QUIET = {"verbose": False, "allow_writing_files": False, "thread_count": 1}


def of_lightgbm(objective: str) -> Callable[[Any, FitRows], Any]:
    def fit(_: Any, rows: FitRows) -> Any:
        earlier, later = rows.split()
        first, last = (
            lightgbm.Dataset(rows.frame.iloc[places], rows.outcome[places], params={"verbose": -1})
            for places in (earlier, later)
        )
        told = {"objective": objective, "verbose": -1, "learning_rate": 0.5}
        stop = lightgbm.early_stopping(2, verbose=False)
        return lightgbm.train(told, first, 60, valid_sets=[last], callbacks=[stop])

    return fit


def of_xgboost(objective: str) -> Callable[[Any, FitRows], Any]:
    def fit(_: Any, rows: FitRows) -> Any:
        matrix = xgboost.DMatrix(rows.frame, rows.outcome, enable_categorical=True)
        classes = {"num_class": 2} if objective.startswith("multi:") else {}
        return xgboost.train({"objective": objective} | classes, matrix, 8)

    return fit


def of_catboost(_: Any, rows: FitRows) -> Any:
    return CatBoost(QUIET | {"loss_function": "Logloss", "iterations": 8}).fit(
        rows.frame, rows.outcome, cat_features=["site"]
    )


BOOSTERS: dict[str, tuple[Any, Callable[[Any, FitRows], Any]]] = {
    "LightGBM": (LGBMClassifier, of_lightgbm("binary")),
    "XGBoost": (XGBClassifier, of_xgboost("binary:logistic")),
    "XGBoost's labels": (XGBClassifier, of_xgboost("binary:hinge")),
    "XGBoost's labels of classes": (XGBClassifier, of_xgboost("multi:softmax")),
    "CatBoost": (lambda: CatBoostClassifier(**QUIET, cat_features=["site"]), of_catboost),
}


@pytest.mark.parametrize("library", slow_after(1, BOOSTERS))
def test_a_native_booster_becomes_a_candidate(library: str, tmp_path: Path) -> None:
    estimator, fit = BOOSTERS[library]
    made, artifact = trained(tmp_path, estimator, fit)
    assert (artifact.kind, artifact.classes) == ("classifier", (0, 1))
    assert made.card.estimator == ("CatBoost" if library == "CatBoost" else "Booster")
    assert type(artifact) is Artifact
    assert made.proposal.metrics["roc_auc"] > 0.7
    asked = {
        "inflow": np.array([-3.0, 3.0]),
        "level": np.array([np.nan, 1.0]),
        "site": np.array(["south", "north"], object),
    }
    low, high = artifact.predict(asked)[:, 1]
    assert low < high
    if library == "LightGBM":
        assert 0 < int(dict(made.card.chosen)["best_iteration"]) < 60


@pytest.mark.parametrize(
    ("estimator", "fit", "found"),
    [
        (LGBMClassifier, of_lightgbm("regression"), "a regressor, by its objective"),
        (LGBMClassifier, of_lightgbm("cross_entropy"), "a regressor, by its objective"),
        (XGBClassifier, of_xgboost("reg:squarederror"), "a regressor, by its objective"),
    ],
)
def test_a_booster_whose_objective_has_no_classes_is_refused_by_name(
    estimator: Any, fit: Any, found: str, tmp_path: Path
) -> None:
    with pytest.raises(PenstockError, match=found):
        trained(tmp_path, estimator, fit)
