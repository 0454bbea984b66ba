"""Contributions of CatBoost's categories: its own, also where a statistic is by several features."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostClassifier, CatBoostRegressor, Pool
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from penstock.artifact.file import read, write
from penstock.artifact.load import load
from penstock.errors import ArtifactError
from tests.engine.artifact.random_models import frame_columns, frame_features, packed
from tests.engine.artifact.test_contributions import adds_up
from tests.engine.artifact.test_packing_catboost_categories import QUIET, categories, fitted, options, worded
from tests.slow import seeded

NAMES = ["few", "many", "odd"]
PAIRS = {"one_hot_max_size": 1, "max_ctr_complexity": 2, "combinations_ctr": ["Borders"]}


def given(frame: pd.DataFrame) -> dict[str, Any]:
    return {"background": frame_columns(frame), "categories": categories(frame)}


def together(frame: pd.DataFrame) -> pd.Series:
    """An outcome of two categories together, and of a number."""
    return frame["n"].fillna(0.0) + (frame["odd"].str.len() + frame["many"].str[5:].astype(int)) % 3 * 2


def said(model: Any, frame: pd.DataFrame) -> np.ndarray:
    """The library's own contributions (n, outputs, features)."""
    found = np.asarray(model.get_feature_importance(Pool(frame, cat_features=NAMES), type="ShapValues"))
    return (found if found.ndim == 3 else found[:, None])[:, :, :-1]


def combinations(model: Any, folder: Path) -> list[set[str]]:
    """The kinds of elements in each statistic by a combination."""
    model.save_model(str(folder / "json"), format="json")
    told = json.loads((folder / "json").read_text())["features_info"].get("ctrs", [])
    kinds = [[one["combination_element"] for one in ctr["elements"]] for ctr in told]
    return [set(one) for one in kinds if len(one) > 1]


@pytest.mark.parametrize("more", [{"one_hot_max_size": 100}, {"max_ctr_complexity": 1}, PAIRS])
def test_contributions_of_categories_are_those_of_the_library(more: dict[str, Any], tmp_path: Path) -> None:
    frame = worded(np.random.default_rng(1), 300)
    model = CatBoostRegressor(**QUIET, iterations=20, cat_features=NAMES, **more)
    model.fit(frame, together(frame))
    assert bool(combinations(model, tmp_path)) == (more is PAIRS)
    for artifact in packed(model, tmp_path, frame_features(frame), **given(frame)):
        found = artifact.explain(frame_columns(frame[:20]))
        assert found.method == "exact"
        assert adds_up(found)
        np.testing.assert_allclose(found.contributions, said(model, frame[:20]), rtol=0, atol=1e-9)


@seeded(6, 60)
def test_features_of_a_combination_share_what_it_contributes_as_in_the_library(seeds: range, tmp_path: Path) -> None:
    kinds: set[str] = set()
    for seed in seeds:
        rng = np.random.default_rng(seed)
        frame = worded(rng, int(rng.integers(80, 250)))
        more = options(rng) | {"grow_policy": "SymmetricTree", "max_ctr_complexity": 3}
        model = fitted(rng, frame, **more)
        kinds |= set().union(*combinations(model, tmp_path))
        for artifact in packed(model, tmp_path, frame_features(frame), **given(frame)):
            found = artifact.explain(frame_columns(frame[:20]))
            assert found.method == "exact"
            assert adds_up(found)
            np.testing.assert_allclose(found.contributions, said(model, frame[:20]), rtol=0, atol=1e-9)
    assert kinds >= {"cat_feature_value", "float_feature"}


def test_combinations_inside_a_calibration_are_explained_too(tmp_path: Path) -> None:
    frame = worded(np.random.default_rng(3), 300)
    inner = CatBoostClassifier(**QUIET, iterations=8, cat_features=NAMES, **PAIRS).fit(frame, together(frame) > 2)
    model = CalibratedClassifierCV(FrozenEstimator(inner), cv=2).fit(frame, together(frame) > 2)
    expected = said(inner, frame[:20])
    assert combinations(inner, tmp_path)
    for artifact in packed(model, tmp_path, frame_features(frame), **given(frame)):
        found = artifact.explain(frame_columns(frame[:20]))
        assert found.method == "exact"
        np.testing.assert_allclose(found.contributions, expected, rtol=0, atol=1e-9)


def test_sharers_that_are_no_slots_are_refused(tmp_path: Path) -> None:
    frame = worded(np.random.default_rng(1), 200)
    model = CatBoostRegressor(**QUIET, iterations=9, cat_features=NAMES, **PAIRS).fit(frame, together(frame))
    packed(model, tmp_path, frame_features(frame), **given(frame))
    header, arrays = read(tmp_path / "model.artifact")
    write(tmp_path / "damaged", header, arrays | {"sharers": arrays["sharers"] + 10_000})
    with pytest.raises(ArtifactError, match="sharers that are no slots"):
        load(tmp_path / "damaged").explain(frame_columns(frame[:1]))
