"""What is not packed natively: skops inside a model file, behind the same API, allow-listed types only."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import AdaBoostRegressor, RandomForestClassifier, RandomForestRegressor, StackingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVR

from penstock.artifact import file as artifact_file
from penstock.artifact import skops_artifact
from penstock.artifact.load import load
from penstock.artifact.packing.pack import pack
from penstock.artifact.packing.unfitted import demand_storable
from penstock.contract.contract import Output
from penstock.errors import ArtifactError, ContractError, UnsupportedEstimator
from tests.engine.artifact.random_models import frame_columns, frame_features, matrix_columns, matrix_features

pytestmark = pytest.mark.slow

MATRIX = np.random.default_rng(0).normal(size=(80, 3))
LATE = MATRIX[:, 0] > 0


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), KNeighborsClassifier(algorithm="brute")),
        OneVsRestClassifier(KNeighborsClassifier(algorithm="brute")),
        AdaBoostRegressor(SVR(), n_estimators=3, random_state=0),
        SVR(),
        KNeighborsClassifier(algorithm="brute"),
    ],
    ids=lambda model: type(model).__name__,
)
def test_other_estimators_predict_as_scikit_learn(model: Any, tmp_path: Path) -> None:
    model.fit(MATRIX, LATE if hasattr(model, "predict_proba") else MATRIX[:, 0])
    pack(model, tmp_path / "m", features=matrix_features(MATRIX), metadata={"a": 1})
    artifact = load(tmp_path / "m")
    expected = model.predict_proba(MATRIX) if artifact.kind == "classifier" else model.predict(MATRIX)
    np.testing.assert_array_equal(artifact.predict(matrix_columns(MATRIX)), expected)
    assert len(artifact.predict(matrix_columns(MATRIX[:0]))) == 0
    assert artifact.metadata == {"a": 1}


def test_number_columns_reach_a_pipeline_that_chooses_them_by_name(tmp_path: Path) -> None:
    frame = pd.DataFrame(MATRIX, columns=[f"x{at}" for at in range(MATRIX.shape[1])])
    model = make_pipeline(make_column_transformer((StandardScaler(), ["x1", "x0"])), SVR()).fit(frame, MATRIX[:, 0])
    pack(model, tmp_path / "m", features=matrix_features(MATRIX), metadata={})
    np.testing.assert_array_equal(load(tmp_path / "m").predict(matrix_columns(MATRIX)), model.predict(frame))


def test_text_columns_reach_a_pipeline_by_name(tmp_path: Path) -> None:
    frame = pd.DataFrame({"word": ["a", "b", "c", "a"] * 10, "n": np.arange(40.0)})
    columns = make_column_transformer((OneHotEncoder(), ["word"]), remainder="passthrough")
    model = make_pipeline(columns, KNeighborsClassifier(algorithm="brute")).fit(frame, frame["n"] % 2)
    pack(model, tmp_path / "m", features=frame_features(frame), metadata={})
    artifact = load(tmp_path / "m")
    np.testing.assert_array_equal(artifact.predict(frame_columns(frame)), model.predict_proba(frame))
    with pytest.raises(ContractError, match=r"unknown"):
        artifact.predict({"word": np.array(["x"], dtype=object), "n": np.zeros(1)})
    with pytest.raises(ContractError, match="'n'"):
        artifact.predict({"word": np.array(["a"], dtype=object)})


@pytest.mark.parametrize("missing", [None, np.nan])
def test_a_missing_text_is_what_the_encoders_know(missing: float | None, tmp_path: Path) -> None:
    """What training holds is NaN, and imputers do not fill None."""
    words = np.array(["a", "b", "c", missing] * 10, dtype=object)
    frame = pd.DataFrame({"word": pd.Series(words, dtype=object), "n": np.arange(40.0)})
    texts = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder())
    columns = make_column_transformer((texts, ["word"]), remainder="passthrough")
    model = make_pipeline(columns, KNeighborsClassifier(algorithm="brute")).fit(frame, frame["n"] % 2)
    pack(model, tmp_path / "m", features=frame_features(frame), metadata={})
    artifact = load(tmp_path / "m")
    expected = model.predict_proba(frame)
    np.testing.assert_array_equal(artifact.predict(frame_columns(frame)), expected)
    np.testing.assert_array_equal(artifact.predict(frame_columns(frame.iloc[3:4])), expected[3:4])


def test_a_damaged_sparse_matrix_inside_is_refused(tmp_path: Path) -> None:
    model = KNeighborsClassifier(algorithm="brute").fit(csr_matrix(np.eye(8)), np.arange(8) % 2)
    pack(model, tmp_path / "m", features=matrix_features(np.eye(8)), metadata={})
    np.testing.assert_array_equal(
        load(tmp_path / "m").predict(matrix_columns(np.eye(8))), model.predict_proba(np.eye(8))
    )
    model._fit_X.indices[3] = 2**20
    pack(model, tmp_path / "m", features=matrix_features(np.eye(8)), metadata={})
    with pytest.raises(ArtifactError, match="damaged tree or matrix"):
        load(tmp_path / "m")


def test_the_same_estimator_gives_the_same_bytes(tmp_path: Path) -> None:
    model = KNeighborsClassifier(algorithm="brute").fit(MATRIX, LATE)
    for at in range(2):
        pack(model, tmp_path / str(at), features=matrix_features(MATRIX), metadata={})
    assert (tmp_path / "0").read_bytes() == (tmp_path / "1").read_bytes()


def test_a_type_that_is_not_allow_listed_is_neither_packed_nor_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = matrix_features(MATRIX)
    neighbours = KNeighborsClassifier(algorithm="kd_tree").fit(MATRIX, LATE)
    with pytest.raises(UnsupportedEstimator, match="KDTree"):
        pack(neighbours, tmp_path / "m", features=features, metadata={})
    allowed = skops_artifact.TRUSTED_TYPES
    more = ("sklearn.neighbors._kd_tree.KDTree", "sklearn.metrics._dist_metrics.EuclideanDistance64")
    monkeypatch.setattr(skops_artifact, "TRUSTED_TYPES", allowed + more)
    pack(neighbours, tmp_path / "m", features=features, metadata={})
    monkeypatch.setattr(skops_artifact, "TRUSTED_TYPES", allowed)
    with pytest.raises(ArtifactError, match=r"allow-listed.*KDTree"):
        load(tmp_path / "m")


class ShareOfLate(ClassifierMixin, BaseEstimator):
    """What a team wrote itself."""

    def fit(self, x: Any, y: Any) -> "ShareOfLate":
        self.classes_, self.share_ = np.unique(y), np.array([1 - np.mean(y), np.mean(y)])
        return self

    def predict_proba(self, x: Any) -> Any:
        return np.tile(self.share_, (len(x), 1))


def test_a_type_that_the_model_trusts_is_stored_named_in_the_file_and_loaded(tmp_path: Path) -> None:
    model, features = ShareOfLate().fit(MATRIX, LATE), matrix_features(MATRIX)
    own = f"{__name__}.ShareOfLate"
    with pytest.raises(UnsupportedEstimator, match=r"ShareOfLate.*Nor can it be stored.*ShareOfLate"):
        pack(model, tmp_path / "m", features=features, metadata={})
    pack(model, tmp_path / "m", features=features, metadata={}, trusted_types=[own])
    assert artifact_file.read(tmp_path / "m")[0].trusted_types == (own,)
    np.testing.assert_array_equal(load(tmp_path / "m").predict(matrix_columns(MATRIX)), model.predict_proba(MATRIX))


def test_indexes_of_pandas_are_stored_as_names(tmp_path: Path) -> None:
    frame = pd.DataFrame(MATRIX, columns=["x0", "x1", "x2"])
    union = make_union(make_column_transformer(("passthrough", [0, 1])), StandardScaler())
    steps = make_pipeline(make_column_transformer((StandardScaler(), frame.columns[:2])), union)
    model = make_pipeline(steps.set_output(transform="pandas"), SVR())
    demand_storable(model, Output("y", "regressor"))
    pack(model.fit(frame, MATRIX[:, 0]), tmp_path / "m", features=frame_features(frame), metadata={})
    np.testing.assert_array_equal(load(tmp_path / "m").predict(frame_columns(frame)), model.predict(frame))
    assert isinstance(model[0][0].transformers[0][2], pd.Index)


def with_other(frame: pd.DataFrame) -> pd.DataFrame:
    """A team's own step, which a row of zeros makes no number of."""
    return frame.assign(ratio=frame["number"] / frame["other"].replace(0, np.nan))


def demanding(frame: pd.DataFrame) -> pd.DataFrame:
    if np.isinf(frame["other"]).any():
        raise KeyError("an odd number")
    return frame


def with_ratio(frame: pd.DataFrame) -> pd.DataFrame:
    """A team's own step, which knows the frame that it was fitted to."""
    return pd.DataFrame({"ratio": frame["number"] / frame["other"], "kind": frame["kind"].cat.codes == 0})


@pytest.mark.parametrize("texts", [False, True])
def test_a_function_that_the_model_trusts_gets_the_frame_of_its_fit(texts: bool, tmp_path: Path) -> None:
    frame = pd.DataFrame({"number": MATRIX[:, 0], "other": 1 + MATRIX[:, 1] ** 2})
    function: Any = with_other
    if texts:
        frame["kind"], function = pd.Categorical(np.where(MATRIX[:, 2] > 0, "above", "below")), with_ratio
    model = make_pipeline(FunctionTransformer(function), SVR()).fit(frame, MATRIX[:, 0])
    own = [f"{__name__}.{function.__name__}"]
    pack(model, tmp_path / "m", features=frame_features(frame), metadata={}, trusted_types=own)
    artifact = load(tmp_path / "m")
    np.testing.assert_array_equal(artifact.predict(frame_columns(frame)), model.predict(frame))
    assert artifact.outputs == 1


def test_what_a_function_that_the_model_trusts_refuses_is_a_refusal(tmp_path: Path) -> None:
    frame = pd.DataFrame({"number": MATRIX[:, 0], "other": MATRIX[:, 1]})
    model = make_pipeline(FunctionTransformer(demanding), SVR()).fit(frame, MATRIX[:, 0])
    own = [f"{__name__}.demanding"]
    pack(model, tmp_path / "m", features=frame_features(frame), metadata={}, trusted_types=own)
    columns = frame_columns(frame.iloc[:2]) | {"other": np.array([0.5, np.inf])}
    with pytest.raises(ContractError, match="an odd number"):
        load(tmp_path / "m").predict(columns)


def test_a_damaged_tree_inside_is_refused_before_it_is_walked(tmp_path: Path) -> None:
    model = StackingRegressor([("forest", RandomForestRegressor(2, random_state=0))], final_estimator=SVR())
    model.fit(MATRIX, MATRIX[:, 0])
    tree = model.estimators_[0].estimators_[1].tree_
    state = tree.__getstate__()
    state["nodes"]["right_child"][0] = 2**20
    tree.__setstate__(state)
    pack(model, tmp_path / "m", features=matrix_features(MATRIX), metadata={})
    with pytest.raises(ArtifactError, match="damaged tree"):
        load(tmp_path / "m")


def test_a_damaged_skops_file_inside_is_refused(tmp_path: Path) -> None:
    pack(
        KNeighborsClassifier(algorithm="brute").fit(MATRIX, LATE),
        tmp_path / "m",
        features=matrix_features(MATRIX),
        metadata={},
    )
    header, arrays = artifact_file.read(tmp_path / "m")
    damaged = arrays["skops"].copy()
    damaged[: len(damaged) // 2] = 0
    artifact_file.write(tmp_path / "n", header, {"skops": damaged})
    with pytest.raises(ArtifactError, match=r"skops file inside"):
        load(tmp_path / "n")


@pytest.mark.parametrize("model", [Ridge(), RandomForestRegressor(2), MultiOutputRegressor(Ridge())], ids=str)
def test_several_outputs_behind_texts_are_packed(model: Any, tmp_path: Path) -> None:
    frame = pd.DataFrame({"word": ["a", "b"] * 40, "n": MATRIX[:, 0]})
    encoded = make_pipeline(make_column_transformer((OneHotEncoder(), ["word"]), remainder="passthrough"), clone(model))
    pack(encoded.fit(frame, MATRIX), tmp_path / "m", features=frame_features(frame), metadata={}, fallback=False)
    expected = encoded.predict(frame)
    assert expected.shape == MATRIX.shape
    np.testing.assert_allclose(load(tmp_path / "m").predict(frame_columns(frame)), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("model", [RandomForestClassifier(2), KNeighborsClassifier(algorithm="brute")], ids=str)
def test_several_outcomes_of_a_classifier_are_not_packed(model: Any, tmp_path: Path) -> None:
    both = np.column_stack([LATE, MATRIX[:, 1] > 0]).astype(int)
    with pytest.raises(UnsupportedEstimator, match="one output"):
        pack(model.fit(MATRIX, both), tmp_path / "m", features=matrix_features(MATRIX), metadata={})


@pytest.mark.parametrize(
    "model",
    [LinearRegression(), LogisticRegression(), make_pipeline(OneHotEncoder(dtype=np.float32), Ridge())],
    ids=["coefficients", "classifier", "encoder"],
)
def test_what_scikit_learn_computes_in_single_precision_it_goes_on_computing_itself(model: Any, tmp_path: Path) -> None:
    matrix = MATRIX.round(0).astype(np.float32)
    model.fit(matrix, LATE)
    pack(model, tmp_path / "m", features=matrix_features(matrix), metadata={})
    artifact = load(tmp_path / "m")
    asked = matrix.astype(np.float64)
    expected = model.predict_proba(asked) if artifact.kind == "classifier" else model.predict(asked)

    assert isinstance(artifact, skops_artifact.SkopsArtifact)
    np.testing.assert_array_equal(artifact.predict(matrix_columns(asked)), expected)


def test_a_partial_of_a_function_that_is_not_allow_listed_is_neither_packed_nor_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partial itself is trusted, because histogram boosting has one; what it calls has to be trusted as well."""
    called = FunctionTransformer(partial(os.path.join, "a"))
    model = make_pipeline(called, Ridge())
    model.steps[1][1].fit(MATRIX, MATRIX[:, 0])
    trusted = skops_artifact.TRUSTED_TYPES
    with pytest.raises(UnsupportedEstimator, match=r"posixpath\.join"):
        skops_artifact.to_bytes(model)
    pack(Ridge().fit(MATRIX, MATRIX[:, 0]), tmp_path / "m", features=matrix_features(MATRIX), metadata={})
    header, _ = artifact_file.read(tmp_path / "m")
    monkeypatch.setattr(skops_artifact, "TRUSTED_TYPES", (*trusted, "posixpath.join"))
    data = np.frombuffer(skops_artifact.to_bytes(model), dtype=np.uint8)
    monkeypatch.setattr(skops_artifact, "TRUSTED_TYPES", trusted)
    artifact_file.write(
        tmp_path / "n",
        msgspec.structs.replace(header, engine="skops", outputs=1, slots=1, link="IDENTITY"),
        {"skops": data},
    )
    with pytest.raises(ArtifactError, match=r"allow-listed.*posixpath\.join"):
        load(tmp_path / "n")
