"""The loaded model: what it says about itself, the columns it takes, and the files it stays able to load."""

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge

from penstock.artifact.load import load
from penstock.artifact.native import compiled
from penstock.artifact.packing.pack import pack
from penstock.contract.contract import Feature
from penstock.errors import ContractError, UnsupportedEstimator
from tests.engine.artifact.random_models import ENGINES, matrix_columns, matrix_features, packed, same
from tests.slow import slow_after

STORED = Path(__file__).parent / "stored"
MATRIX = np.random.default_rng(0).normal(size=(80, 3))


def test_a_model_says_what_it_was_packed_with(tmp_path: Path) -> None:
    features = [Feature("x0", "number", "first"), Feature("x1", "number"), Feature("x2", "number")]
    model = LogisticRegression().fit(MATRIX, np.where(MATRIX[:, 0] > 0, "late", "on time"))
    pack(model, tmp_path / "m", features=features, metadata={"snapshot": "abc", "rows": 80})
    artifact = load(tmp_path / "m")
    assert artifact.features == tuple(features)
    assert artifact.metadata == {"snapshot": "abc", "rows": 80}
    assert (artifact.kind, artifact.classes, artifact.estimator) == (
        "classifier",
        ("late", "on time"),
        "LogisticRegression",
    )


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for at in range(2):
        model = RandomForestClassifier(5, random_state=1).fit(MATRIX, MATRIX[:, 0] > 0)
        pack(model, tmp_path / str(at), features=matrix_features(MATRIX), metadata={"b": 1, "a": [2]})
    assert (tmp_path / "0").read_bytes() == (tmp_path / "1").read_bytes()


def test_packing_over_a_loaded_file_leaves_the_loaded_model_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "m"
    features = matrix_features(MATRIX)
    pack(Ridge().fit(MATRIX, MATRIX[:, 0]), path, features=features, metadata={})
    artifact, columns = load(path), matrix_columns(MATRIX)
    before = artifact.predict(columns)
    pack(RandomForestRegressor(50).fit(MATRIX, MATRIX[:, 1]), path, features=features, metadata={})
    assert same(artifact.predict(columns), before)
    assert [file.name for file in tmp_path.iterdir()] == ["m"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"x1": None}, r"'x1'.*no such column"),
        ({"y": np.zeros(80)}, r"'y'.*expected only x0, x1, x2"),
        ({"x2": np.zeros(79)}, r"'x2'.*1-d array of 80 values.*\(79,\)"),
        ({"x2": np.zeros((80, 1))}, r"'x2'.*\(80, 1\)"),
        ({"x0": np.float64(3)}, r"'x0'.*shape \(\)"),
        ({"x1": np.array(["a"] * 80)}, r"'x1'.*numbers"),
        ({"x1": np.array([1.0] * 80, dtype=object)}, r"'x1'.*dtype object"),
    ],
)
def test_wrong_columns_are_refused_by_name(change: dict[str, np.ndarray | None], said: str, tmp_path: Path) -> None:
    columns = {k: v for k, v in (matrix_columns(MATRIX) | change).items() if v is not None}
    for artifact in packed(Ridge().fit(MATRIX, MATRIX[:, 0]), tmp_path, matrix_features(MATRIX)):
        with pytest.raises(ContractError, match=said):
            artifact.predict(columns)


def test_other_number_types_and_strides_are_taken(tmp_path: Path) -> None:
    model = HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=2).fit(MATRIX, MATRIX[:, 0] > 0)
    whole = np.round(MATRIX * 3)
    for artifact in packed(model, tmp_path, matrix_features(MATRIX)):
        expected = model.predict_proba(whole)
        assert same(artifact.predict({f"x{at}": whole[:, at] for at in range(3)}), expected)
        assert same(artifact.predict({f"x{at}": whole[:, at].astype(np.int16) for at in range(3)}), expected)
        assert same(artifact.predict({f"x{at}": whole[::-2, at] for at in range(3)}), expected[::-2])


def test_text_that_is_not_text_is_refused(tmp_path: Path) -> None:
    model = HistGradientBoostingClassifier(max_iter=2, categorical_features=[0], min_samples_leaf=1)
    words = np.array([["a"], ["b"]] * 20, dtype=object)
    for artifact in packed(model.fit(words, [0, 1] * 20), tmp_path, [Feature("w", "text")]):
        for bad in (np.array(["a", 3], dtype=object), np.array([b"a"], dtype=object), np.zeros(2)):
            with pytest.raises(ContractError, match="'w'"):
                artifact.predict({"w": bad})


def test_rows_in_blocks_predict_as_rows_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    asked = rng.normal(size=(700, 3))
    for model in (RandomForestClassifier(7, random_state=0), LogisticRegression()):
        for artifact in packed(model.fit(MATRIX, MATRIX[:, 0] > 0), tmp_path, matrix_features(MATRIX)):
            together = artifact.predict(matrix_columns(asked))
            alone = [artifact.predict(matrix_columns(asked[at : at + 1])) for at in range(0, 700, 50)]
            assert same(np.concatenate(alone), together[::50])


@pytest.mark.parametrize("leaves", slow_after(1, [64, 2, 5, 63, 65, 200]))
def test_many_rows_reach_the_leaves_that_each_reaches_alone(leaves: int, tmp_path: Path) -> None:
    """Trees of few leaves are asked otherwise where rows are many; the kernels agree on which leaf is reached."""
    rng = np.random.default_rng(leaves)
    matrix = rng.normal(size=(3000, 3)).round(1)
    matrix[rng.random(matrix.shape) < 0.1] = np.nan
    model = RandomForestRegressor(5, max_leaf_nodes=leaves, random_state=0).fit(matrix, rng.normal(size=3000))
    assert max(tree.get_n_leaves() for tree in model.estimators_) == leaves
    asked = matrix[:300]
    for artifact in packed(model, tmp_path, matrix_features(matrix)):
        alone = np.concatenate([artifact.leaves(matrix_columns(asked[at : at + 1])) for at in range(300)])
        assert np.array_equal(alone, model.apply(asked))
        for count in (*range(2, 70), 255, 256, 257, 300):
            columns = matrix_columns(asked[:count])
            assert np.array_equal(artifact.leaves(columns), alone[:count])
            assert same(artifact.predict(columns)[-1:], artifact.predict(matrix_columns(asked[count - 1 : count])))


@pytest.mark.skipif(not compiled(), reason="the C kernel was not built")
def test_large_batches_let_other_threads_run(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    model = RandomForestRegressor(40, random_state=0).fit(MATRIX, MATRIX[:, 0])
    pack(model, tmp_path / "m", features=matrix_features(MATRIX), metadata={})
    artifact, columns = load(tmp_path / "m", engine="c"), matrix_columns(rng.normal(size=(400_000, 3)))
    worker = threading.Thread(target=artifact.predict, args=(columns,))
    begun = time.perf_counter()
    worker.start()
    waits = []
    while worker.is_alive():
        before = time.perf_counter()
        time.sleep(0.001)
        waits.append(time.perf_counter() - before)
    assert len(waits) > 5
    assert max(waits) < (time.perf_counter() - begun) / 2


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("path", sorted(STORED.glob("*.artifact")), ids=lambda path: path.stem)
def test_files_of_earlier_versions_stay_loadable(path: Path, engine: str) -> None:
    """Each with columns and what scikit-learn predicted for them when the file was made."""
    artifact = load(path, engine=engine)
    kept = json.loads(path.with_suffix(".json").read_text())
    columns = {
        name: np.array([np.nan if v is None else v for v in values]) if name != "word" else np.array(values, object)
        for name, values in kept["columns"].items()
    }
    np.testing.assert_allclose(artifact.predict(columns), kept["predictions"], rtol=1e-14)


def test_a_text_feature_without_an_encoder_is_named(tmp_path: Path) -> None:
    features = [Feature("x0", "number"), Feature("x1", "text"), Feature("x2", "number")]
    with pytest.raises(UnsupportedEstimator, match="'x1'"):
        packed(Ridge().fit(MATRIX, MATRIX[:, 0]), tmp_path, features)
