from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from penstock.artifact import load as artifacts
from penstock.artifact.native import Artifact
from penstock.artifact.packing.pack import pack
from penstock.contract.contract import Contract, Feature, Output
from penstock.training.card import request_fields
from penstock.training.evaluation import permutation_importances
from penstock.training.metrics import brier, roc_auc

FEATURES = tuple(Feature(name, "number") for name in ("strong", "weak", "noise"))


class CardRequest(msgspec.Struct, forbid_unknown_fields=True):
    code: Annotated[str, msgspec.Meta(max_length=4, pattern="^[A-Z]+$", description="The code.")]
    count: Annotated[int, msgspec.Meta(ge=1, le=9)] | None = None


@pytest.fixture
def rows() -> tuple[dict[str, Any], Any]:
    random = np.random.default_rng(0)
    vectors = {feature.name: random.normal(size=3_000) for feature in FEATURES}
    odds = 3 * vectors["strong"] + 0.7 * vectors["weak"] + random.normal(size=3_000)
    return vectors, (odds > 0).astype(float)


@pytest.fixture
def artifact(rows: tuple[dict[str, Any], Any], tmp_path: Path) -> Artifact:
    vectors, outcome = rows
    forest = RandomForestClassifier(20, max_depth=6, random_state=0)
    forest.fit(np.column_stack(list(vectors.values())), outcome)
    pack(forest, tmp_path / "forest", features=FEATURES, metadata={})
    return artifacts.load(tmp_path / "forest")


@pytest.mark.parametrize(("metric", "higher"), [(roc_auc, True), (brier, False)])
def test_importances_rank_what_the_outcome_was_made_from_and_repeat_themselves(
    rows: tuple[dict[str, Any], Any], artifact: Artifact, metric: Any, higher: bool
) -> None:
    vectors, outcome = rows
    first, second = (
        permutation_importances(artifact, vectors, outcome, metric, higher_is_better=higher) for _ in range(2)
    )

    assert first == second
    assert list(first) == ["strong", "weak", "noise"]
    assert first["strong"][0] > 3 * first["weak"][0] > 0
    assert abs(first["noise"][0]) < first["weak"][0]


def test_shuffling_leaves_the_rows_as_they_were(rows: tuple[dict[str, Any], Any], artifact: Artifact) -> None:
    vectors, outcome = rows
    before = {name: values.copy() for name, values in vectors.items()}
    permutation_importances(artifact, vectors, outcome, roc_auc, higher_is_better=True)

    assert len(before) == len(vectors) > 0
    assert all(np.array_equal(values, before[name]) for name, values in vectors.items())


def test_request_fields_are_told_with_their_bounds_and_meaning() -> None:
    contract = Contract(
        "m", "", CardRequest, ("code",), (), (), lambda _: {}, Output("y", "classifier"), asked_at="code"
    )
    code, count = request_fields(contract)

    assert (code.name, code.type, code.required, code.meaning) == ("code", "string", True, "The code.")
    assert code.bounds == "length ≤ 4, matches ^[A-Z]+$"
    assert (count.type, count.required, count.bounds) == ("integer", False, "≥ 1, ≤ 9")
