"""CatBoost's categories: their hashes, splits by one of them, and statistics by one or several, to the last bit."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostClassifier, CatBoostRegressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from penstock.artifact.city_hash import category_hash
from penstock.errors import UnsupportedEstimator
from tests.engine.artifact.random_models import frame_columns, frame_features, packed, same
from tests.slow import seeded

QUIET = {"verbose": False, "allow_writing_files": False, "thread_count": 1}
LENGTHS = (0, 1, 2, 3, 4, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 65, 127, 128, 129, 200)
STATISTICS = ("Borders", "Buckets", "Counter", "BinarizedTargetMeanValue")


def worded(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """Numbers, one of them with missing values, and words of few, many and odd kinds, in any order."""
    frame = pd.DataFrame({"n": rng.normal(size=rows), "m": rng.normal(size=rows)})
    frame.loc[rng.random(rows) < 0.1, "n"] = np.nan
    frame["few"] = rng.choice(["a", "b", "\u00fc"], size=rows)
    frame["many"] = [f"word {at}" for at in rng.integers(30, size=rows)]
    frame["odd"] = rng.choice(["", "NaN", "x" * 20, "x" * 70, "\u65e5\u672c\u8a9e"], size=rows)
    return frame


def options(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "iterations": int(rng.integers(1, 12)),
        "depth": int(rng.integers(1, 6)),
        "one_hot_max_size": int(rng.choice([2, 4, 100])),
        "max_ctr_complexity": int(rng.integers(1, 4)),
        "grow_policy": str(rng.choice(["SymmetricTree", "SymmetricTree", "Lossguide"])),
        "nan_mode": str(rng.choice(["Min", "Max"])),
        "simple_ctr": [str(rng.choice(STATISTICS))],
        "combinations_ctr": [str(rng.choice(STATISTICS))],
        "random_seed": int(rng.integers(1000)),
        "cat_features": ["few", "many", "odd"],
    }


def fitted(rng: np.random.Generator, frame: pd.DataFrame, **more: Any) -> Any:
    score = frame["n"].fillna(1.0) * (frame["few"] == "a") + frame["many"].str[5:].astype(int) % 4
    score += frame["odd"].str.len() % 3 + 0.3 * rng.normal(size=len(frame))
    classes = int(rng.choice([0, 2, 3]))
    if not classes:
        return CatBoostRegressor(**QUIET, **more).fit(frame, score)
    target = np.digitize(score, np.quantile(score, np.linspace(0, 1, classes + 1)[1:-1]))
    return CatBoostClassifier(**QUIET, **more).fit(frame, target)


def categories(frame: pd.DataFrame) -> dict[str, list[str]]:
    return {name: sorted(frame[name].unique()) for name in ("few", "many", "odd")}


@pytest.mark.parametrize("length", LENGTHS)
def test_a_category_has_the_hash_that_the_library_knows_it_by(length: int) -> None:
    word = ("word \u00fc, " * 30).encode()[:length].decode(errors="ignore")
    frame = pd.DataFrame({"word": [word, "other", "third"] * 20})
    model = CatBoostRegressor(**QUIET, iterations=2, cat_features=["word"], one_hot_max_size=10, depth=2)
    model.fit(frame, np.arange(60) % 3 == 0)
    assert category_hash(word) in hashes_of(model)


def hashes_of(model: Any) -> set[int]:
    """The hashes by which a model splits on single categories."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_model(f"{folder}/model.json", format="json")
        told = json.loads(Path(f"{folder}/model.json").read_text())
    return {value % 2**32 for one in told["features_info"]["categorical_features"] for value in one["values"]}


@seeded(6, 40)
def test_categories_and_their_statistics_give_the_same_scores(seeds: range, tmp_path: Path) -> None:
    combined = 0
    for seed in seeds:
        rng = np.random.default_rng(seed)
        frame = worded(rng, int(rng.integers(80, 250)))
        frame = frame[list(rng.permutation(frame.columns))]
        model = fitted(rng, frame, **options(rng))
        asked = worded(rng, 60)[list(frame.columns)]
        asked.loc[:4, "many"], asked.loc[3:6, "few"] = "never seen", ["A", "nan", "y" * 33, "b"]
        asked.loc[7:11, "n"] = [np.inf, -np.inf, 1e300, -0.0, 5e-324]
        raw = model.predict(asked, prediction_type="RawFormulaVal")
        columns = frame_columns(asked)
        for artifact in packed(model, tmp_path, frame_features(frame), categories=categories(frame)):
            assert same(artifact.raw(columns).reshape(raw.shape), raw)
            assert same(artifact.raw(frame_columns(asked[:1])), artifact.raw(columns)[:1])
            assert len(artifact.predict(frame_columns(asked[:0]))) == 0
        combined += model.get_all_params()["max_ctr_complexity"] > 1 and len(artifact.inputs(columns)[0]) > 10
    assert combined > 0


def test_a_missing_category_is_refused_by_name(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = worded(rng, 100)
    model = fitted(rng, frame, iterations=3, cat_features=["few", "many", "odd"])
    asked = frame[:5].copy()
    asked.loc[3, "few"] = None
    for artifact in packed(model, tmp_path, frame_features(frame), categories=categories(frame)):
        assert [(one.row, one.feature) for one in artifact.refusals(frame_columns(asked))] == [(3, "few")]


def test_frozen_and_calibrated_ones_are_packed(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    frame = worded(rng, 200)
    inner = CatBoostClassifier(**QUIET, iterations=5, cat_features=["few", "many", "odd"]).fit(frame, frame["n"] > 0)
    model = CalibratedClassifierCV(FrozenEstimator(inner), method="isotonic", cv=2).fit(frame, frame["n"] > 0)
    for artifact in packed(model, tmp_path, frame_features(frame), categories=categories(frame)):
        assert same(artifact.predict(frame_columns(frame)), model.predict_proba(frame))


def test_numbers_as_categories_are_left_to_the_library(tmp_path: Path) -> None:
    frame = pd.DataFrame({"code": np.arange(100) % 3, "n": np.arange(100.0)})
    model = CatBoostRegressor(**QUIET, iterations=3, cat_features=["code"]).fit(frame, frame["code"])
    with pytest.raises(UnsupportedEstimator, match="text for the category 'code'"):
        packed(model, tmp_path, frame_features(frame))
