"""Private names of scikit-learn: each exists, and without it the estimator is kept by skops and predicts the same."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import PoissonRegressor
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, PowerTransformer

from penstock.artifact import compat
from penstock.artifact.load import load
from penstock.artifact.native import Artifact
from penstock.artifact.packing.pack import pack
from penstock.errors import UnsupportedEstimator
from tests.engine.artifact.random_models import frame_columns, frame_features

RNG = np.random.default_rng(5)
FRAME = pd.DataFrame(
    {
        "number": RNG.normal(size=200),
        "text": pd.Series(RNG.choice(["a", "b", "c", "rare"], 200, p=[0.4, 0.3, 0.28, 0.02]), dtype=object),
    }
)
LATE = FRAME["number"] + (FRAME["text"] == "a") > 0.3


def encoded(encoder: Any, model: Any) -> Any:
    return make_pipeline(make_column_transformer((encoder, ["text"]), (SimpleImputer(), ["number"])), model)


def forest() -> Any:
    return RandomForestClassifier(3, max_depth=3, random_state=0)


MODELS = {
    "HistGradientBoostingClassifier": lambda: HistGradientBoostingClassifier(
        max_iter=3, min_samples_leaf=3, categorical_features=["text"]
    ),
    "RandomForestClassifier": lambda: encoded(OrdinalEncoder(), forest()),
    "GradientBoostingClassifier": lambda: encoded(OrdinalEncoder(), GradientBoostingClassifier(n_estimators=3)),
    "PoissonRegressor": lambda: encoded(OrdinalEncoder(), PoissonRegressor()),
    "OrdinalEncoder": lambda: encoded(OrdinalEncoder(), forest()),
    "OneHotEncoder": lambda: encoded(OneHotEncoder(min_frequency=10, handle_unknown="infrequent_if_exist"), forest()),
    "ColumnTransformer": lambda: encoded(OrdinalEncoder(), forest()),
    "TunedThresholdClassifierCV": lambda: TunedThresholdClassifierCV(encoded(OrdinalEncoder(), forest()), cv=2),
    "PowerTransformer": lambda: make_pipeline(
        encoded(OrdinalEncoder(), PowerTransformer())[:1], PowerTransformer(), forest()
    ),
    "SimpleImputer": lambda: encoded(OrdinalEncoder(), forest()),
}
ATTRIBUTES = {name: one for name, one in vars(compat).items() if isinstance(one, compat.PrivateAttribute)}


def fitted(attribute: compat.PrivateAttribute) -> Any:
    model = MODELS[attribute.owner]()
    return model.fit(FRAME, LATE.astype(float) if attribute.owner == "PoissonRegressor" else LATE)


def packed(model: Any, folder: Path) -> Artifact:
    pack(model, folder / "m", features=frame_features(FRAME), metadata={})
    return load(folder / "m")


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTRIBUTES)
def test_without_an_attribute_the_estimator_is_kept_by_skops_and_predicts_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attribute = ATTRIBUTES[name]
    model = fitted(attribute)
    expected = model.predict(FRAME) if attribute.owner == "PoissonRegressor" else model.predict_proba(FRAME)
    native = packed(model, tmp_path)
    assert type(native) is Artifact, f"{attribute.owner}.{attribute.path} has moved: the estimator is not packed"
    np.testing.assert_allclose(native.predict(frame_columns(FRAME)), expected, rtol=1e-12)

    monkeypatch.setattr(compat, name, attribute._replace(path=f"{attribute.path}_moved"))
    if name == "TUNED_LABEL":  # nobody knows then which class the threshold is of
        with pytest.raises(UnsupportedEstimator, match="_get_pos_label_moved"):
            packed(model, tmp_path)
        return
    kept = packed(model, tmp_path)
    assert type(kept) is not Artifact
    np.testing.assert_array_equal(kept.predict(frame_columns(FRAME)), expected)


def test_every_attribute_is_tried() -> None:
    assert len(ATTRIBUTES) == 18
    assert {one.owner for one in ATTRIBUTES.values()} == set(MODELS)


@pytest.mark.parametrize("name", compat.TRUSTED_TYPES)
def test_each_trusted_type_is_where_it_was(name: str) -> None:
    module, _, kind = name.rpartition(".")
    assert callable(getattr(importlib.import_module(module), kind))
