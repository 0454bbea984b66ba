"""What a stored estimator answers: numbers, or a refusal that names the row; never what is no number."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.impute import IterativeImputer
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge, TweedieRegressor
from sklearn.manifold import Isomap, LocallyLinearEmbedding
from sklearn.multioutput import MultiOutputRegressor
from sklearn.naive_bayes import CategoricalNB
from sklearn.neighbors import KNeighborsTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.semi_supervised import LabelPropagation, LabelSpreading

from penstock.artifact.load import load
from penstock.artifact.native import Artifact
from penstock.artifact.packing.pack import pack
from penstock.artifact.packing.unfitted import demand_storable
from penstock.contract.contract import Output
from penstock.errors import ContractError, PenstockError
from penstock.training.frame import feature_frame
from tests.engine.artifact.random_models import frame_columns, frame_features, matrix_columns, matrix_features

MATRIX = np.random.default_rng(0).normal(size=(80, 3))
LATE = MATRIX[:, 0] > 0
FAR = np.where(np.arange(3)[:, None] == 1, 100.0, MATRIX[:3])


def stored(model: Any, matrix: np.ndarray, folder: Path) -> Artifact:
    pack(model, folder / "m", features=matrix_features(matrix), metadata={}, background=matrix_columns(matrix))
    artifact = load(folder / "m")
    assert artifact.fallback is not None
    return artifact


def test_a_category_that_only_a_request_has_is_refused(tmp_path: Path) -> None:
    codes = np.abs(MATRIX.round())
    artifact = stored(CategoricalNB().fit(codes, LATE), codes, tmp_path)
    asked = codes[:3].copy()
    asked[1, 2] = 9
    with pytest.raises(ContractError, match="out of bounds"):
        artifact.predict(matrix_columns(asked))
    assert [one.row for one in artifact.refusals(matrix_columns(asked))] == [1]


@pytest.mark.parametrize("kind", [LabelPropagation, LabelSpreading])
def test_a_row_too_far_from_all_others_for_an_answer_is_refused(kind: Any, tmp_path: Path) -> None:
    model = kind().fit(MATRIX, LATE)
    artifact = stored(model, MATRIX, tmp_path)
    assert np.isnan(model.predict_proba(FAR)[1]).all()
    with pytest.raises(ContractError, match="an answer that is no number"):
        artifact.predict(matrix_columns(FAR))
    assert [one.row for one in artifact.refusals(matrix_columns(FAR))] == [1]


def test_contributions_that_would_be_no_numbers_are_refused(tmp_path: Path) -> None:
    scales = np.array([1.0, 30.0, 30.0])
    model = LabelSpreading().fit(MATRIX * scales, LATE)
    artifact = stored(model, MATRIX * scales, tmp_path)
    assert np.isfinite(artifact.predict(matrix_columns(MATRIX * scales))).all()
    with pytest.raises(PenstockError, match=r"contributions: expected scores.*no number.*leave out Model"):
        artifact.explain(matrix_columns(MATRIX[:1] * scales))


@pytest.mark.parametrize(
    "step",
    [
        KNeighborsTransformer(algorithm="brute"),
        Isomap(neighbors_algorithm="brute"),
        LocallyLinearEmbedding(neighbors_algorithm="brute"),
    ],
)
def test_neighbours_without_a_tree_are_stored(step: Any, tmp_path: Path) -> None:
    model = make_pipeline(step, Ridge())
    demand_storable(model, Output("y", "regressor"))
    artifact = stored(model.fit(MATRIX, MATRIX[:, 0]), MATRIX, tmp_path)
    np.testing.assert_array_equal(artifact.predict(matrix_columns(MATRIX)), model.predict(MATRIX))


@pytest.mark.parametrize("power", [0, 1.5])
def test_the_loss_of_a_linear_model_is_stored(power: float, tmp_path: Path) -> None:
    model = make_pipeline(KNeighborsTransformer(algorithm="brute"), TweedieRegressor(power=power))
    artifact = stored(model.fit(MATRIX, np.abs(MATRIX[:, 0])), MATRIX, tmp_path)
    np.testing.assert_array_equal(artifact.predict(matrix_columns(MATRIX)), model.predict(MATRIX))


def test_contributions_add_up_where_many_rows_round_otherwise_than_one(tmp_path: Path) -> None:
    near = MATRIX * 0.01  # so near that the products of the kernel cancel out
    artifact = stored(GaussianProcessRegressor(optimizer=None).fit(near, MATRIX[:, 0] * 10), near, tmp_path)
    for row in near[:4]:
        found = artifact.explain(matrix_columns(row[None] + 0.01))
        assert np.allclose(found.base + found.contributions.sum(axis=2), found.scores, rtol=0, atol=1e-9)


def test_a_step_that_writes_into_its_columns_gets_them_as_in_the_fit(tmp_path: Path) -> None:
    numbers = {name: np.where(MATRIX[:, at] > 1, np.nan, MATRIX[:, at]) for at, name in enumerate("ab")}
    frame = feature_frame({**numbers, "word": np.array(["a", "b"] * 40, dtype=object)})
    steps = make_column_transformer(
        (IterativeImputer(max_iter=2, keep_empty_features=True), ["a", "b"]), (OneHotEncoder(), ["word"])
    )
    model = make_pipeline(steps, KernelRidge()).fit(frame, MATRIX[:, 0])
    pack(model, tmp_path / "m", features=frame_features(frame), metadata={})
    found = load(tmp_path / "m").predict(frame_columns(frame))
    np.testing.assert_array_equal(found, model.predict(frame))


@pytest.mark.parametrize("joined", [MultiOutputRegressor, TransformedTargetRegressor])
def test_several_values_behind_steps_that_read_texts_are_counted(joined: Any, tmp_path: Path) -> None:
    frame = pd.DataFrame({"word": ["a", "b"] * 40, "n": MATRIX[:, 0]})
    encoded = make_column_transformer((OneHotEncoder(), ["word"]), remainder="passthrough")
    model = joined(make_pipeline(encoded, KernelRidge())).fit(frame, MATRIX)
    pack(model, tmp_path / "m", features=frame_features(frame), metadata={})
    artifact = load(tmp_path / "m")
    assert artifact.fallback is not None
    assert artifact.outputs == 3
    np.testing.assert_allclose(artifact.predict(frame_columns(frame)), model.predict(frame), rtol=1e-12)
