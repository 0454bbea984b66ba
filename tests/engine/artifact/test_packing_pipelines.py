"""Pipelines of imputers, scalers and encoders: what the estimator reads is what scikit-learn makes."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from penstock.errors import ContractError
from tests.engine.artifact.random_models import (
    frame_columns,
    frame_features,
    matrix_columns,
    matrix_features,
    numbers,
    packed,
    same,
)

TEXTS = ["a", "b", "c", "ä", "", "zz"]
NUMBERS, WORDS, CODES = ["n0", "n1", "n2"], ["t0", "t1"], ["k0"]


def a_frame(rng: np.random.Generator, rows: int, missing: bool) -> pd.DataFrame:
    frame = pd.DataFrame(numbers(rng, rows, 3, missing=0.15), columns=NUMBERS)
    for name in WORDS:
        frame[name] = pd.Series(rng.choice(TEXTS, p=[0.4, 0.3, 0.1, 0.1, 0.05, 0.05], size=rows))
        if missing:
            frame.loc[rng.random(rows) < 0.15, name] = np.nan
    frame["k0"] = rng.choice([1.0, 2.0, 5.0, -0.5], p=[0.5, 0.3, 0.1, 0.1], size=rows)
    return frame


def asked_frame(rng: np.random.Generator, missing: bool, strange: bool) -> pd.DataFrame:
    frame = a_frame(rng, 40, missing)
    if strange:
        frame.loc[rng.random(40) < 0.2, "t0"] = "never seen"
        frame.loc[rng.random(40) < 0.2, "k0"] = 99.0
    return frame


@pytest.mark.parametrize("missing", [None, np.nan])
def test_an_imputer_fills_nan_and_leaves_none_as_scikit_learn_does(missing: float | None, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = rng.choice(np.array(["a", "b", missing], dtype=object), 90)
    frame = pd.DataFrame({"word": pd.Series(words, dtype=object)})
    texts = make_pipeline(SimpleImputer(strategy="constant", fill_value="none"), OrdinalEncoder())
    model = make_pipeline(texts, DecisionTreeRegressor()).fit(frame, frame["word"].isna() * 2.0 + (words == "a"))
    for artifact in packed(model, tmp_path, frame_features(frame)):
        assert same(artifact.predict(frame_columns(frame)), model.predict(frame))


def imputer(rng: np.random.Generator) -> SimpleImputer:
    strategy = str(rng.choice(["mean", "median", "most_frequent", "constant"]))
    return SimpleImputer(
        strategy=strategy,
        fill_value=3.5 if strategy == "constant" else None,
        add_indicator=bool(rng.random() < 0.4),
        keep_empty_features=bool(rng.random() < 0.5),
    )


def scaler(rng: np.random.Generator) -> Any:
    if rng.random() < 0.5:
        return StandardScaler(with_mean=bool(rng.random() < 0.7), with_std=bool(rng.random() < 0.7))
    return MinMaxScaler(feature_range=(-1, 2), clip=bool(rng.random() < 0.5))


def encoder(rng: np.random.Generator) -> tuple[Any, bool]:
    """An encoder, and whether it takes categories that it has not seen."""
    kind = rng.integers(3)
    rare: dict[str, Any] = [{}, {"min_frequency": 8}, {"max_categories": 3}][rng.integers(3)]
    if kind == 0:
        return TargetEncoder(random_state=0), True
    if kind == 1:
        if rng.random() < 0.7:
            unknown = int(rng.choice([-1, -7]))
            missing = int(rng.choice([-2, -3]))
            settings = {"handle_unknown": "use_encoded_value", "unknown_value": unknown}
            return OrdinalEncoder(**settings, encoded_missing_value=missing, **rare), True
        return OrdinalEncoder(encoded_missing_value=-2, **rare), False
    handling = str(rng.choice(["ignore", "infrequent_if_exist", "warn", "error"]))
    drop = rng.choice(np.array([None, "first", "if_binary"], dtype=object))
    sparse = bool(rng.random() < 0.5)
    return OneHotEncoder(handle_unknown=handling, drop=drop, sparse_output=sparse, **rare), handling != "error"


def a_pipeline(rng: np.random.Generator, missing: bool) -> tuple[Pipeline, bool]:
    words: list[Any] = []
    if rng.random() < 0.5:
        constant = rng.random() < 0.5
        words.append(
            SimpleImputer(strategy="constant", fill_value="?") if constant else SimpleImputer(strategy="most_frequent")
        )
    text, takes_text = encoder(rng)
    codes, takes_codes = encoder(rng)
    parts = [
        ("numbers", make_pipeline(imputer(rng), scaler(rng)), NUMBERS),
        ("words", make_pipeline(*words, text), WORDS),
        ("codes", codes, CODES),
        ("again", rng.choice(np.array(["passthrough", "drop", StandardScaler()], dtype=object)), ["k0"]),
    ]
    order = rng.permutation(len(parts))
    columns = ColumnTransformer([parts[at] for at in order], sparse_threshold=float(rng.choice([0.0, 0.3, 1.0])))
    return Pipeline([("columns", columns)]), takes_text and takes_codes


def dense(matrix: Any) -> np.ndarray:
    return np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix, dtype=np.float64)


def final(rng: np.random.Generator) -> Any:
    return [
        LogisticRegression(max_iter=50),
        RandomForestClassifier(n_estimators=3, random_state=0),
        Ridge(),
        DecisionTreeRegressor(max_depth=4, random_state=0),
    ][rng.integers(4)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_random_pipelines_predict_as_scikit_learn(tmp_path: Path) -> None:
    for seed in range(150):
        rng = np.random.default_rng(seed)
        missing = bool(rng.random() < 0.5)
        frame = a_frame(rng, int(rng.integers(40, 120)), missing)
        pipeline, takes_unknown = a_pipeline(rng, missing)
        target = (np.nan_to_num(frame["n0"]) + (frame["t0"] == "a") > 0.3).astype(int)
        target.iloc[:2] = [0, 1]
        model = Pipeline([*pipeline.steps, ("final", final(rng))]).fit(frame, target)
        asked = asked_frame(rng, missing, strange=takes_unknown)
        if not missing or not takes_unknown:
            asked[WORDS] = frame[WORDS].sample(40, replace=True, random_state=seed).to_numpy()
            asked[CODES] = frame[CODES].sample(40, replace=True, random_state=seed).to_numpy()
        try:
            expected = model.predict_proba(asked) if hasattr(model, "predict_proba") else model.predict(asked)
        except ValueError as error:
            expected = error
        for artifact in packed(model, tmp_path, frame_features(frame)):
            if isinstance(expected, ValueError):
                with pytest.raises(ContractError):
                    artifact.predict(frame_columns(asked))
                continue
            found = artifact.predict(frame_columns(asked))
            if hasattr(model[-1], "coef_"):
                np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12, err_msg=str(seed))
            else:
                assert same(found, expected), seed
            assert np.allclose(artifact.predict(frame_columns(asked.iloc[:1])), expected[:1], rtol=1e-12, atol=1e-12)


def test_a_column_may_go_into_several_transformers(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0, 4.0, np.nan], "b": [1.0, 0.0, 1.0, 0.0]})
    columns = ColumnTransformer(
        [
            ("mean", SimpleImputer(strategy="mean"), ["a"]),
            ("zero", SimpleImputer(strategy="constant", fill_value=0.0), ["a", "b"]),
            ("as is", "passthrough", ["b"]),
        ],
        remainder="drop",
        transformer_weights={"zero": 3.0},
    )
    model = make_pipeline(columns, Ridge()).fit(frame, [0.0, 1.0, 2.0, 3.0])
    for artifact in packed(model, tmp_path, frame_features(frame)):
        np.testing.assert_allclose(artifact.predict(frame_columns(frame)), model.predict(frame), rtol=1e-12)


def test_the_target_encoder_of_values_predicts_as_scikit_learn(tmp_path: Path) -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        frame = a_frame(rng, 120, missing=True)[[*WORDS, "k0"]]
        target = (frame["t0"] == "a") * 2.5 + rng.normal(size=120)
        model = make_pipeline(TargetEncoder(smooth=float(rng.choice([0.0, 5.0])), random_state=0), Ridge())
        model.fit(frame, target)
        asked = asked_frame(rng, missing=True, strange=True)[[*WORDS, "k0"]]
        for artifact in packed(model, tmp_path, frame_features(frame)):
            found = artifact.predict(frame_columns(asked))
            np.testing.assert_allclose(found, model.predict(asked), rtol=1e-12, atol=1e-12)
            assert artifact.predict(frame_columns(asked.iloc[:0])).shape == (0,)


@pytest.mark.slow
def test_steps_before_hist_gradient_boosting_keep_its_scores_bit_for_bit(tmp_path: Path) -> None:
    for seed in range(15):
        rng = np.random.default_rng(seed)
        frame = a_frame(rng, 100, missing=True)
        settings = {"handle_unknown": "use_encoded_value", "unknown_value": np.nan}
        columns = ColumnTransformer(
            [("words", OrdinalEncoder(**settings), WORDS), ("numbers", StandardScaler(), NUMBERS)],
            remainder="passthrough",
        )
        booster = HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=3, categorical_features=[0, 1])
        model = make_pipeline(columns, booster).fit(frame, np.nan_to_num(frame["n0"]) > 0)
        asked = asked_frame(rng, missing=True, strange=True)
        for artifact in packed(model, tmp_path, frame_features(frame)):
            assert same(artifact.predict(frame_columns(asked)), model.predict_proba(asked))


@pytest.mark.parametrize("kind", [OrdinalEncoder, OneHotEncoder])
def test_an_unknown_category_is_refused_where_the_encoder_refuses_it(kind: type, tmp_path: Path) -> None:
    frame = pd.DataFrame({"word": ["a", "b"] * 5, "code": [1.0, 2.0] * 5})
    model = make_pipeline(kind(), Ridge()).fit(frame, np.arange(10.0))
    for artifact in packed(model, tmp_path, frame_features(frame)):
        with pytest.raises(ContractError, match=r"'word'.*seen in training.*'c'"):
            artifact.predict({"word": np.array(["a", "c"], dtype=object), "code": np.ones(2)})
        with pytest.raises(ContractError, match=r"'code'.*seen in training.*3.0"):
            artifact.predict({"word": np.array(["a", "b"], dtype=object), "code": np.array([1.0, 3.0])})


def test_several_classes_give_the_target_encoder_a_column_each(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = a_frame(rng, 150, missing=True)[WORDS]
    target = rng.choice(["x", "y", "z"], size=150)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make_pipeline(TargetEncoder(random_state=0), RandomForestClassifier(n_estimators=3, random_state=0))
        model.fit(frame, target)
    asked = asked_frame(rng, missing=True, strange=True)[WORDS]
    for artifact in packed(model, tmp_path, frame_features(frame)):
        assert artifact.classes == ("x", "y", "z")
        assert same(artifact.predict(frame_columns(asked)), model.predict_proba(asked))


def test_a_strict_indicator_refuses_what_was_never_missing_as_scikit_learn_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(80, 3))
    matrix[::7, 1] = -9.0
    marks = FeatureUnion([("marks", MissingIndicator(missing_values=-9.0)), ("as is", "passthrough")])
    model = make_pipeline(marks, DecisionTreeClassifier(max_depth=3)).fit(matrix, matrix[:, 0] > 0)
    for artifact in packed(model, tmp_path, matrix_features(matrix)):
        assert same(artifact.predict(matrix_columns(matrix)), model.predict_proba(matrix))
        other = matrix.copy()
        other[3, 2] = -9.0
        with pytest.raises(ValueError, match="have missing values in transform but have no missing"):
            model.predict_proba(other)
        with pytest.raises(ContractError, match="column 'x2'"):
            artifact.predict(matrix_columns(other))
