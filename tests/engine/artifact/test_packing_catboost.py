"""CatBoost: raw scores bit for bit, with missing values, every border, policy and loss."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoost, CatBoostClassifier, CatBoostRanker, CatBoostRegressor, Pool, sum_models
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from penstock.artifact.catboost_artifact import CatBoostArtifact
from penstock.artifact.load import load
from penstock.artifact.native import Artifact
from penstock.artifact.packing.boosting import catboost_categories
from penstock.artifact.packing.pack import pack
from penstock.artifact.packing.unfitted import demand_storable
from penstock.contract.contract import Output, Value
from penstock.errors import ArtifactError, ContractError, UnsupportedEstimator
from tests.engine.artifact.random_models import (
    frame_columns,
    frame_features,
    matrix_columns,
    matrix_features,
    near,
    numbers,
    packed,
    same,
    ulps,
)
from tests.engine.artifact.test_packing_xgboost import mixed_frame
from tests.slow import seeded

QUIET: dict[str, Any] = {"verbose": 0, "thread_count": 1, "allow_writing_files": False}
FOCAL = "Focal:focal_alpha=0.5;focal_gamma=2"
VALUES = ("RMSE", "MAE", "Quantile:alpha=0.7", "Expectile:alpha=0.3", "MAPE", "Huber:delta=1", "LogCosh", "Lq:q=3")
POSITIVE = ("Poisson", "Tweedie:variance_power=1.5", "LogLinQuantile", "RMSPE")


def options(rng: np.random.Generator) -> dict[str, Any]:
    policy = str(rng.choice(["SymmetricTree", "SymmetricTree", "Depthwise", "Lossguide"]))
    return QUIET | {
        "grow_policy": policy,
        "iterations": int(rng.integers(1, 30)),
        "depth": int(rng.integers(1, 10 if policy == "SymmetricTree" else 7)),
        "learning_rate": float(rng.uniform(0.05, 0.9)),
        "border_count": int(rng.choice([2, 32, 254])),
        "nan_mode": str(rng.choice(["Min", "Max"])),
        "random_seed": int(rng.integers(1000)),
    }


def fitted(rng: np.random.Generator, inputs: Any, score: np.ndarray, told: dict[str, Any]) -> Any:
    """A classifier of two to four classes, or a regressor with one of the losses."""
    if rng.random() < 0.5:
        classes = int(rng.integers(2, 5))
        target = np.digitize(score, np.quantile(score, np.linspace(0, 1, classes + 1)[1:-1]))
        losses = ["Logloss", "CrossEntropy", FOCAL] if classes == 2 else ["MultiClass", "MultiClassOneVsAll"]
        return CatBoostClassifier(**told, loss_function=str(rng.choice(losses))).fit(inputs, target)
    loss = str(rng.choice([*VALUES, *POSITIVE]))
    if loss in ("LogLinQuantile", "Lq:q=3", "LogCosh"):
        told |= {"boost_from_average": False}
    target = np.exp(np.clip(score, -3, 3)) if loss in POSITIVE else score
    return CatBoostRegressor(**told, loss_function=loss).fit(inputs, target)


def assert_same(model: Any, artifact: Artifact, asked: Any, columns: dict[str, np.ndarray]) -> None:
    ranks = isinstance(model, CatBoostRanker)
    raw = model.predict(asked) if ranks else model.predict(asked, prediction_type="RawFormulaVal")
    assert same(artifact.raw(columns).reshape(raw.shape), raw)
    if model.get_scale_and_bias()[0] == 1:  # any other is applied to what trees have answered
        leaves = np.asarray(model.calc_leaf_indexes(asked))
        assert np.array_equal(artifact.leaves(columns)[:, : leaves.shape[1]], leaves)  # a bias is the last tree
    expected = model.predict_proba(asked) if hasattr(model, "predict_proba") else model.predict(asked)
    exponential = artifact.kind == "classifier" or not same(expected, raw)
    # CatBoost has an exponential of its own, except where there are two classes.
    apart = 0 if not exponential or (artifact.kind == "classifier" and raw.ndim == 1) else 20
    assert ulps(artifact.predict(columns), expected) <= apart


@seeded(16, 170)
def test_numbers_with_missing_and_infinite_values_give_the_same_scores_and_predictions(
    seeds: range, tmp_path: Path
) -> None:
    seen = set()
    for seed in seeds:
        rng = np.random.default_rng(seed)
        rows = int(rng.integers(20, 200))
        matrix = numbers(rng, rows, int(rng.integers(1, 6)), missing=0.2 * (rng.random() < 0.5))
        model = fitted(
            rng, matrix, np.nan_to_num(matrix[:, 0]).clip(-10, 10) + 0.3 * rng.normal(size=rows), options(rng)
        )
        borders = np.concatenate([[0.0], *model.get_borders().values()])
        seen.add(model.get_all_params()["grow_policy"])
        asked = near(rng, matrix, borders, 60)
        asked[rng.random(asked.shape) < 0.1] = rng.choice([np.nan, np.inf, -np.inf, 1e300, -0.0, 1e-46])
        for artifact in packed(model, tmp_path, matrix_features(matrix)):
            assert_same(model, artifact, asked, matrix_columns(asked))
            assert_same(model, artifact, asked[:1], matrix_columns(asked[:1]))
            assert artifact.raw(matrix_columns(asked[:0])).shape[0] == 0
    assert seen == {"SymmetricTree", "Depthwise", "Lossguide"}


def test_ranking_early_stopping_and_a_model_without_a_wrapper_answer_as_the_library_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(200, 3))
    classes = np.digitize(matrix[:, 0], [-0.5, 0.5])
    pool = Pool(matrix, classes, group_id=np.repeat(np.arange(4), 50))
    ranker = CatBoostRanker(**QUIET, iterations=5, loss_function="YetiRank").fit(pool)
    stopped = CatBoostClassifier(**QUIET, iterations=80, learning_rate=0.7, early_stopping_rounds=2)
    stopped.fit(matrix[:100], classes[:100], eval_set=(matrix[100:], rng.integers(3, size=100)))
    assert 0 < stopped.tree_count_ < 80
    plain = CatBoost(QUIET | {"iterations": 5, "loss_function": "RMSE"}).fit(matrix, matrix[:, 1])
    for model in (ranker, stopped, plain):
        for artifact in packed(model, tmp_path, matrix_features(matrix)):
            assert_same(model, artifact, matrix, matrix_columns(matrix))


def test_a_model_from_a_file_and_a_classifier_without_a_wrapper_answer_as_they_did(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(200, 3))
    told = QUIET | {"iterations": 5, "loss_function": "MultiClass"}
    plain = CatBoost(told).fit(matrix, np.digitize(matrix[:, 0], [-0.5, 0.5]))
    poisson = CatBoostRegressor(**QUIET, iterations=5, loss_function="Poisson").fit(matrix, np.exp(matrix[:, 0]))
    for model in (plain, poisson):
        model.save_model(str(tmp_path / "model.cbm"))
        again = type(model)().load_model(str(tmp_path / "model.cbm"))
        expected = model.predict(matrix, prediction_type="Probability" if model is plain else "Exponent")
        for one in (model, again):
            for artifact in packed(one, tmp_path, matrix_features(matrix)):
                assert artifact.kind == ("classifier" if model is plain else "regressor")
                assert ulps(artifact.predict(matrix_columns(matrix)), expected) <= 20
            with pytest.raises(ContractError, match="expected 3, as were fitted"):
                packed(one, tmp_path, matrix_features(matrix[:, :2]))


def test_a_scale_and_a_bias_of_ones_own_are_applied_last(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(200, 3))
    for classes in (2, 3):
        model = CatBoostClassifier(**QUIET, iterations=5).fit(matrix, np.arange(200) % classes)
        model.set_scale_and_bias(1 / 3, 0.7 if classes == 2 else [0.1, 0.2, -0.3])
        for artifact in packed(model, tmp_path, matrix_features(matrix)):
            assert_same(model, artifact, matrix, matrix_columns(matrix))


def test_in_a_pipeline_and_calibrated_it_takes_what_the_steps_before_make(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    frame = mixed_frame(rng, 200, 5)
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    steps = make_column_transformer((encoder, ["text"]), (SimpleImputer(), ["n0", "n1"]))
    target = (frame["code"] == 3).astype(int)
    for last in (
        CatBoostClassifier(**QUIET, iterations=5),
        CalibratedClassifierCV(CatBoostClassifier(**QUIET, iterations=5), method="isotonic", cv=2),
    ):
        model = make_pipeline(steps, last).fit(frame, target)
        for artifact in packed(model, tmp_path, frame_features(frame)):
            assert same(artifact.predict(frame_columns(frame)), model.predict_proba(frame))


@pytest.mark.parametrize("policy", ["SymmetricTree", "Depthwise"])
def test_the_contributions_of_features_are_those_of_the_library(policy: str, tmp_path: Path) -> None:
    """Of trees that are not symmetric the library's own do not always add up to its score: these do."""
    rng = np.random.default_rng(0)
    matrix = numbers(rng, 200, 3, missing=0.1)
    for classes in (2, 3):
        model = CatBoostClassifier(**QUIET, iterations=10, depth=4, grow_policy=policy)
        model.fit(matrix, np.digitize(matrix[:, 0], [0.0, 0.7][: classes - 1]))
        said = model.get_feature_importance(Pool(matrix), type="ShapValues").reshape(200, -1, 4)
        columns = matrix_columns(matrix)
        for artifact in packed(model, tmp_path, matrix_features(matrix), columns):
            found = artifact.explain(columns)
            total = found.base + found.contributions.sum(axis=2)
            np.testing.assert_allclose(total, artifact.raw(columns), rtol=0, atol=1e-9)
            if policy == "SymmetricTree":
                np.testing.assert_allclose(found.contributions, said[:, :, :3], rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (CatBoostRegressor(**QUIET, iterations=2, loss_function="RMSEWithUncertainty"), "one output"),
        (CatBoostClassifier(**QUIET, iterations=2, loss_function="MultiLogloss"), "loss of"),
    ],
)
def test_what_is_not_packed_is_named(model: Any, said: str, tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).normal(size=(100, 2))
    target = matrix[:, 0] if said == "one output" else (matrix > 0).astype(int)
    with pytest.raises(UnsupportedEstimator, match=said):
        packed(model.fit(matrix, target), tmp_path, matrix_features(matrix))


def test_a_sum_of_models_is_refused_by_name(tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).normal(size=(100, 2))
    models = [CatBoostRegressor(**QUIET, iterations=at).fit(matrix, matrix[:, 0]) for at in (2, 3)]
    with pytest.raises(UnsupportedEstimator, match="unlike a sum of models"):
        packed(sum_models(models), tmp_path, matrix_features(matrix))


def worded(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    frame = pd.DataFrame({"number": rng.normal(size=rows), "few": rng.choice(["a", "b", "ü"], size=rows)})
    frame["many"] = [f"word {at}" for at in rng.integers(40, size=rows)]
    return frame


KEPT = {
    "binary": lambda: CatBoostClassifier(**QUIET, iterations=20, cat_features=["few", "many"]),
    "classes": lambda: CatBoostClassifier(**QUIET, iterations=10, cat_features=["few", "many"]),
    "poisson": lambda: CatBoostRegressor(**QUIET, iterations=10, cat_features=["few", "many"], loss_function="Poisson"),
}


@pytest.mark.parametrize("name", KEPT)
def test_categories_with_too_many_combinations_are_predicted_by_catboost_itself_from_its_own_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catboost_categories, "_MOST_ENTRIES", 10)
    rng = np.random.default_rng(0)
    frame = worded(rng, 300)
    score = frame["number"] + (frame["few"] == "a") + frame["many"].str[5:].astype(int) / 20
    target = np.digitize(score, np.quantile(score, [0.5] if name == "binary" else [0.3, 0.6]))
    demand_storable(KEPT[name](), Output("y", "classifier" if name in ("binary", "classes") else "regressor"))
    fitting = frame.astype({"few": "category", "many": "category"})
    model = KEPT[name]().fit(fitting, target)
    asked = worded(rng, 50)
    asked.loc[:5, "many"] = "never seen"
    path = tmp_path / "model.artifact"
    pack(model, path, features=frame_features(frame), metadata={})
    artifact = load(path)
    assert type(artifact) is CatBoostArtifact
    expected = model.predict_proba(asked) if hasattr(model, "predict_proba") else model.predict(asked)
    assert same(artifact.predict(frame_columns(asked)), expected)
    assert len(artifact.predict(frame_columns(asked.iloc[:0]))) == 0
    pack(model, path, features=frame_features(frame), metadata={}, background=frame_columns(frame))
    explained = load(path).explain(frame_columns(asked.iloc[:3]))
    total = explained.base + explained.contributions.sum(axis=2)
    np.testing.assert_allclose(total, np.reshape(expected[:3], (3, -1))[:, -total.shape[1] :], rtol=0, atol=1e-9)
    asked.loc[3, "few"] = None
    assert [(one.row, one.feature) for one in artifact.refusals(frame_columns(asked))] == [(3, "few")]
    path.write_bytes(path.read_bytes().replace(b"CBM1", b"CBM0"))
    with pytest.raises(ArtifactError, match="expected a file of CatBoost inside"):
        load(path)


def test_statistics_of_several_targets_which_its_json_mixes_up_are_left_to_catboost(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    frame = worded(rng, 300)
    score = frame["number"] + frame["many"].str[5:].astype(int) / 20
    model = CatBoostRegressor(**QUIET, iterations=10, cat_features=["few", "many"], loss_function="MultiRMSE")
    pack(
        model.fit(frame, np.column_stack([score, -score])), tmp_path / "m", features=frame_features(frame), metadata={}
    )
    assert same(load(tmp_path / "m").predict(frame_columns(frame)), model.predict(frame))
    output = Output("y", "regressor", values=(Value("a", "m"), Value("b", "m")))
    with pytest.raises(UnsupportedEstimator, match="for categories of several targets"):
        demand_storable(make_pipeline("passthrough", model), output)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"text_features": ["many"]}, "CatBoost is packed on numbers and categories"),
        ({"cat_features": ["many"]}, "cannot clone CatBoost with cat_features, as CalibratedClassifierCV does"),
    ],
)
def test_texts_and_categories_inside_another_estimator_are_refused_before_the_fit(
    told: dict[str, Any], said: str
) -> None:
    model = CalibratedClassifierCV(CatBoostClassifier(**told), cv=2)
    with pytest.raises(UnsupportedEstimator, match=said):
        demand_storable(model, Output("y", "classifier"))
