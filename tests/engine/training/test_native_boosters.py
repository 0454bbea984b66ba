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


def of_xgboost(objective: str, **told: Any) -> Callable[[Any, FitRows], Any]:
    def fit(_: Any, rows: FitRows) -> Any:
        matrix = xgboost.DMatrix(rows.frame, rows.outcome, enable_categorical=True)
        classes = {"num_class": 2} if objective.startswith("multi:") else {}
        return xgboost.train({"objective": objective} | classes | told, matrix, 8)

    return fit


def of_catboost(_: Any, rows: FitRows) -> Any:
    return CatBoost(QUIET | {"loss_function": "Logloss", "iterations": 8}).fit(
        rows.frame, rows.outcome, cat_features=["site"]
    )


BOOSTERS: dict[str, tuple[Any, Callable[[Any, FitRows], Any]]] = {
    "LightGBM": (LGBMClassifier, of_lightgbm("binary")),
    "XGBoost": (XGBClassifier, of_xgboost("binary:logistic")),
    "XGBoost, dropping trees": (XGBClassifier, of_xgboost("binary:logistic", booster="dart", rate_drop=0.3)),
    "XGBoost's labels": (XGBClassifier, of_xgboost("binary:hinge")),
    "XGBoost's labels of classes": (XGBClassifier, of_xgboost("multi:softmax")),
    "CatBoost": (lambda: CatBoostClassifier(**QUIET, cat_features=["site"]), of_catboost),
}


@pytest.mark.parametrize("library", slow_after(1, BOOSTERS))
def test_a_native_booster_becomes_a_candidate(library: str, tmp_path: Path) -> None:
    estimator, fit = BOOSTERS[library]
    made, artifact = trained(tmp_path, estimator, fit)
    assert (artifact.kind, artifact.classes) == ("classifier", (0, 1))
    if "dropping" in library:
        assert made.parity == 0
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


def test_a_booster_that_is_not_packed_is_refused_with_how_to_train_it(tmp_path: Path) -> None:
    def linear(_: Any, rows: FitRows) -> Any:
        matrix = xgboost.DMatrix(rows.frame.assign(site=rows.frame["site"].cat.codes), rows.outcome)
        return xgboost.train({"booster": "gblinear", "objective": "binary:logistic"}, matrix, 3)

    def lines_in_leaves(_: Any, rows: FitRows) -> Any:
        told = {"objective": "binary", "verbose": -1, "linear_tree": True}
        return lightgbm.train(told, lightgbm.Dataset(rows.frame, rows.outcome, params={"verbose": -1}), 2)

    for fit, said in (
        (
            linear,
            r"xgboost\.Booster: expected booster='gbtree' or 'dart', or a linear model .*found booster='gblinear'",
        ),
        (lines_in_leaves, r"lightgbm\.Booster: expected linear_tree=False"),
    ):
        with pytest.raises(PenstockError, match=rf"{said}.*Train it so: a native booster is packed, or not taken\.$"):
            trained(tmp_path, LGBMClassifier, fit)
