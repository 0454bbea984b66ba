"""Damaged model files: refused with a clear error, never a read out of bounds."""

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, PolynomialFeatures, StandardScaler
from xgboost import XGBClassifier

from penstock.artifact.file import ALIGNMENT, MAGIC
from penstock.artifact.load import load
from penstock.artifact.packing.pack import pack
from penstock.errors import ArtifactError, ContractError
from tests.engine.artifact.random_models import ENGINES, frame_columns, frame_features

pytestmark = pytest.mark.slow

PREFIX = 48
FRAME = pd.DataFrame({"n": np.linspace(-2, 2, 60), "word": ["a", "bb", "ccc"] * 20, "m": np.arange(60.0) % 7})
COLUMNS = frame_columns(FRAME)


def encoders(encoder: Any) -> Any:
    return make_column_transformer((encoder, ["word"]), (StandardScaler(), ["n", "m"]))


@pytest.fixture(scope="module", params=["hist", "forest", "linear", "boosters", "vote"])
def model_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a small model of each engine, with categories and text, and of one that asks others."""
    models = {
        "hist": HistGradientBoostingClassifier(max_iter=4, categorical_features=["word"], min_samples_leaf=2),
        "forest": make_pipeline(encoders(OrdinalEncoder()), RandomForestClassifier(4, random_state=0)),
        "linear": make_pipeline(encoders(OneHotEncoder()), LogisticRegression()),
    }
    booster = LGBMClassifier(n_estimators=3, min_child_samples=2, min_data_per_group=1, verbose=-1)
    models["boosters"] = make_pipeline(encoders(OrdinalEncoder()), booster)
    members = [("calibrated", CalibratedClassifierCV(booster, method="isotonic", cv=2)), ("line", LogisticRegression())]
    vote = VotingClassifier([*members, ("xgb", XGBClassifier(n_estimators=3))], voting="soft")
    models["vote"] = make_pipeline(encoders(OrdinalEncoder()), PolynomialFeatures(), vote)
    path = tmp_path_factory.mktemp("whole") / "model.artifact"
    model = models[request.param].fit(FRAME, (FRAME["m"] % 3).astype(int))
    pack(model, path, features=frame_features(FRAME), metadata={"purpose": "to be damaged"}, fallback=False)
    return path.read_bytes()


def outcome(path: Path, content: bytes, engine: Any) -> np.ndarray | None:
    """The predictions of a file with this content, or None where it is refused in one of the two proper ways."""
    path.write_bytes(content)
    try:
        return load(path, engine=engine).predict(COLUMNS)
    except (ArtifactError, ContractError):
        return None


def header_of(content: bytes) -> tuple[dict[str, Any], int]:
    length = struct.unpack_from("<I", content, 12)[0]
    return json.loads(content[PREFIX : PREFIX + length]), -(-(PREFIX + length) // ALIGNMENT) * ALIGNMENT


def resealed(content: bytes, header: dict[str, Any]) -> bytes:
    """The file with another header, whose checksum is right."""
    text = json.dumps(header, separators=(",", ":")).encode()
    made = struct.pack("<8sII32s", MAGIC, 1, len(text), hashlib.sha256(text).digest()) + text
    return made + b"\0" * (-len(made) % ALIGNMENT) + content[header_of(content)[1] :]


def test_a_truncated_file_is_refused(model_file: bytes, tmp_path: Path) -> None:
    for length in {0, 1, 7, 47, 48, 60, len(model_file) - 1, *range(0, len(model_file), 997)}:
        assert outcome(tmp_path / "a", model_file[:length], "auto") is None


def test_a_longer_file_is_refused(model_file: bytes, tmp_path: Path) -> None:
    assert outcome(tmp_path / "a", model_file + b"\0" * 64, "auto") is None


def test_any_other_byte_in_the_prefix_or_header_is_refused(model_file: bytes, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    end = PREFIX + struct.unpack_from("<I", model_file, 12)[0]
    for at in {*range(PREFIX), *rng.integers(end, size=150).tolist()}:
        damaged = bytearray(model_file)
        damaged[at] ^= 1 << int(rng.integers(8))
        assert outcome(tmp_path / "a", bytes(damaged), "auto") is None, at


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "0 bytes"),
        (b"\x80\x04\x95" + b"pickle" * 20, "starts with"),
        (b"PK\x03\x04" + b"\0" * 100, "starts with"),
        (struct.pack("<8sII32s", MAGIC, 2, 0, b""), "format version 1, found 2"),
    ],
)
def test_a_foreign_file_and_another_version_are_named(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "foreign.artifact"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=rf"foreign\.artifact.*{said}"):
        load(path)


def test_damaged_arrays_are_refused_or_walked_within_their_bounds(model_file: bytes, tmp_path: Path) -> None:
    """Which of the two is chance: that the content is what was packed is for the store's digest to say."""
    rng = np.random.default_rng(1)
    _, start = header_of(model_file)
    refused = 0
    for _ in range(300):
        damaged = bytearray(model_file)
        for at in rng.integers(start, len(model_file), size=rng.integers(1, 6)):
            damaged[at] = rng.integers(256)
        found = [outcome(tmp_path / "a", bytes(damaged), engine) for engine in ENGINES]
        refused += found[0] is None
        assert {None if one is None else one.shape for one in found} <= {None, (60, 3)}
    assert refused > 0


@pytest.fixture
def nodes(model_file: bytes) -> list[int]:
    """Where each node lies in the file."""
    header, start = header_of(model_file)
    specs = [spec for name, spec in header["arrays"].items() if name.endswith("nodes")]
    if not specs:
        pytest.skip("this model has no nodes")
    return [start + spec["offset"] + 16 * at for spec in specs for at in range(spec["shape"][0])]


def test_nodes_that_point_anywhere_never_lead_out_of_the_tree(
    model_file: bytes, nodes: list[int], tmp_path: Path
) -> None:
    rng = np.random.default_rng(2)
    for _ in range(250):
        damaged = bytearray(model_file)
        node = int(rng.choice(nodes))
        field, size = [(0, 8), (8, 4), (12, 4)][rng.integers(3)]
        strange = [0, 1, 2**31, 2**32 - 1, 2**29, 2**29 + 2**30, int(rng.integers(2**32)), int(rng.integers(40))]
        damaged[node + field : node + field + size] = int(rng.choice(strange)).to_bytes(size, "little")
        for engine in ENGINES:
            outcome(tmp_path / "a", bytes(damaged), engine)


def test_damaged_nodes_lead_many_rows_where_they_lead_each_alone(
    model_file: bytes, nodes: list[int], tmp_path: Path
) -> None:
    rng = np.random.default_rng(4)
    answered = 0
    for _ in range(60):
        damaged = bytearray(model_file)
        node = int(rng.choice(nodes))
        value = rng.choice([float("nan"), float("inf"), 0.0, 1.0])
        link, feature = struct.unpack_from("<II", damaged, node + 8)
        feature ^= int(rng.choice([0, 2**30, 2**29, 2**31, 1]))
        struct.pack_into("<dII", damaged, node, value, link + int(rng.integers(-1, 2)) & 0xFFFFFFFF, feature)
        path = tmp_path / "a"
        path.write_bytes(damaged)
        for engine in ENGINES:
            try:
                artifact = load(path, engine=engine)
                together = artifact.predict(COLUMNS)
            except (ArtifactError, ContractError):
                continue
            each = [{name: column[at : at + 1] for name, column in COLUMNS.items()} for at in range(60)]
            assert np.array_equal(np.concatenate([artifact.predict(one) for one in each]), together, equal_nan=True)
            answered += 1
    assert answered > 20


def test_a_header_with_a_right_checksum_and_wrong_content_is_refused(model_file: bytes, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    header, _ = header_of(model_file)
    assert outcome(tmp_path / "a", resealed(model_file, header), "auto") is not None
    strange = [-1, 0, 1, 2, 3, 64, 2**31, 2**40, 2**63, -(2**63), 1.5, "x", None, [], [2**40, 2**40], "LOGIT", "LOG"]
    for _ in range(300):
        changed = json.loads(json.dumps(header))
        place: Any = changed
        if header.get("parts") and rng.random() < 0.3:
            place = changed["parts"][rng.integers(len(header["parts"]))]
            place[str(rng.choice(list(place)))] = strange[rng.integers(len(strange))]
            place = changed
        if rng.random() < 0.6:
            place = changed["arrays"][str(rng.choice(list(header["arrays"])))]
        keys = [key for key in place if key not in ("metadata", "estimator", "classes")]
        place[str(rng.choice(keys))] = strange[rng.integers(len(strange))]
        for engine in ENGINES:
            outcome(tmp_path / "a", resealed(model_file, changed), engine)


@pytest.mark.parametrize("key", ["nodes", "coefficients", "program", "constants", "base"])
def test_an_array_that_is_missing_or_too_short_is_refused(model_file: bytes, key: str, tmp_path: Path) -> None:
    header, _ = header_of(model_file)
    if key not in header["arrays"]:
        pytest.skip("this model has no such array")
    short = json.loads(json.dumps(header))
    short["arrays"][key]["shape"][0] -= 1
    del header["arrays"][key]
    assert outcome(tmp_path / "a", resealed(model_file, header), "auto") is None
    if key not in ("constants", "program"):
        assert outcome(tmp_path / "a", resealed(model_file, short), "auto") is None
