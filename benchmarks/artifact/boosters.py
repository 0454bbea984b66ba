"""Rows per second of packed LightGBM, XGBoost and CatBoost, against each library's own fastest calls."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import numpy as np
import xgboost

from benchmarks.figures import Figure, at_least, at_most, medians
from penstock.artifact.load import load
from penstock.artifact.packing.pack import pack
from penstock.contract.contract import Feature

COLUMNS, TREES, LEAVES = 20, 200, 31
Array = np.ndarray[Any, Any]
Call = Callable[[Array], Any]


def booster_figures(folder: Path, *, quick: bool) -> list[Figure]:
    """One row and a thousand rows of each library, every row another one."""
    rng = np.random.default_rng(11)
    matrix = rng.normal(size=(5_000 if quick else 50_000, COLUMNS))
    matrix[rng.random(matrix.shape) < 0.05] = np.nan
    late = np.nan_to_num(matrix[:, 0]) + np.sin(3 * np.nan_to_num(matrix[:, 1])) + rng.normal(size=len(matrix)) > 0.5
    light = lightgbm.LGBMClassifier(n_estimators=TREES, num_leaves=LEAVES, verbose=-1).fit(matrix, late)
    told: dict[str, Any] = {"n_estimators": TREES, "max_leaves": LEAVES, "max_depth": 0, "grow_policy": "lossguide"}
    extreme = xgboost.XGBClassifier(**told).fit(matrix, late)
    asked = rng.normal(size=(4_000, COLUMNS))
    # oblivious trees of depth 5 have 32 leaves
    oblivious = catboost.CatBoostClassifier(iterations=TREES, depth=5, verbose=False, allow_writing_files=False)
    oblivious.fit(matrix, late)
    booster, other, raw = light.booster_, extreme.get_booster(), "RawFormulaVal"
    alone: dict[str, Call] = {
        "LightGBM": lambda rows: booster.predict(rows, num_threads=1),
        "XGBoost": other.inplace_predict,
        "CatBoost": lambda rows: oblivious.predict(rows, prediction_type=raw, thread_count=1),
    }
    many: dict[str, Call] = {
        "LightGBM": booster.predict,
        "XGBoost": other.inplace_predict,
        "CatBoost": lambda rows: oblivious.predict(rows, prediction_type=raw),
    }
    found: list[Figure] = []
    for name, model in (("LightGBM", light), ("XGBoost", extreme), ("CatBoost", oblivious)):
        path = folder / f"{name}.artifact"
        pack(model, path, features=[Feature(f"x{at}", "number") for at in range(COLUMNS)], metadata={}, fallback=False)
        if not np.allclose(load(path).predict(_columns(asked)), model.predict_proba(asked), rtol=1e-15, atol=0):
            raise AssertionError(f"the packed model does not predict what {name} does")
        found += _measured(name, path, alone[name], many[name], asked, repeats=10 if quick else 40)
    return [*found, _explained(light, folder / "explained.artifact", matrix, asked[:1])]


def _explained(model: Any, path: Path, matrix: Array, asked: Array) -> Figure:
    features = [Feature(f"x{at}", "number") for at in range(COLUMNS)]
    pack(model, path, features=features, metadata={}, background=_columns(matrix[:1_000]))
    artifact, row = load(path), _columns(asked)
    found = artifact.explain(row)
    if not np.allclose(found.base + found.contributions.sum(axis=2), found.scores, rtol=0, atol=1e-9):
        raise AssertionError("contributions do not add up to the raw score")
    [seconds] = medians(20, lambda: artifact.explain(row))
    return at_most(f"one row explained, {TREES} trees of LightGBM", seconds * 1e3, "ms", 5)


def _measured(name: str, path: Path, alone: Call, many: Call, asked: Array, *, repeats: int) -> list[Figure]:
    artifact = load(path)
    rows = [asked[at : at + 1] for at in range(len(asked))]
    columns = [_columns(row) for row in rows]
    ours, theirs = iter(columns * repeats), iter(rows * repeats)

    def hundred() -> None:
        for _ in range(100):
            artifact.predict(next(ours))

    def hundred_of_theirs() -> None:
        for _ in range(100):
            alone(next(theirs))

    one, other = medians(repeats, hundred, hundred_of_theirs)
    thousand = _columns(asked[:1_000])
    packed, own = medians(repeats, lambda: artifact.predict(thousand), lambda: many(asked[:1_000]))
    return [
        at_most(f"one row, {TREES} trees of {name}", one / 100 * 1e6, "us", 40),
        at_least(f"one row: times faster than {name}'s fastest call", other / one, "x", 1),
        at_least(f"1,000 rows: times faster than {name} (all its threads)", own / packed, "x", 1),
    ]


def _columns(matrix: Array) -> dict[str, Array]:
    return {f"x{at}": np.ascontiguousarray(matrix[:, at]) for at in range(COLUMNS)}
