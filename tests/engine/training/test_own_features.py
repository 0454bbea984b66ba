"""The current release is judged by the features that it was fitted to, also where the code has other ones by now."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from penstock.contract.contract import Columns, Feature
from penstock.declare.model import Model
from penstock.project import containing
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.code_archive import CodeArchive
from penstock.settings import Settings
from penstock.snapshots.store import Snapshot
from penstock.training.held_out import HeldOut
from penstock.training.own_features import KeptCode
from tests.checkout import ROOT, python_path
from tests.engine.projects import write_project
from tests.engine.training import tanks

pytestmark = pytest.mark.slow


def estimator() -> Any:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return make_pipeline(
        make_column_transformer((numbers, ["inflow", "level"]), (OneHotEncoder(), ["site"])), LogisticRegression()
    )


def turned(columns: Columns) -> dict[str, np.ndarray[Any, Any]]:
    """The features of before, of which one has another meaning under its name."""
    return tanks.features(columns) | {"inflow": -columns["inflow"]}


def fewer(columns: Columns) -> dict[str, np.ndarray[Any, Any]]:
    return {name: columns[name] for name in ("inflow", "level")}


TURNED = msgspec.structs.replace(tanks.CONTRACT, compute=turned)
FEWER = msgspec.structs.replace(
    tanks.CONTRACT, compute=fewer, features=(Feature("inflow", "number"), Feature("level", "number", "m"))
)
BEFORE = tanks.tank_model(estimator)


class Release:
    """A release of the model of before, what it answers for the rows of March, and where its code is kept."""

    def __init__(self, folder: Path, file: str = "from tests.engine.training.tanks import CONTRACT\n") -> None:
        self.settings: Settings = tanks.settings_in(folder / "home")
        months = [tanks.rows_of(self.settings, month) for month in ("2026-02", "2026-03")]
        self.rows: Snapshot = months[1]
        self.artifact = tanks.candidate_of(self.settings, BEFORE, "2026-03", *months).proposal.artifact
        root = write_project(folder / "before", {"model_tools/overflow.py": file})
        CodeArchive(self.settings.artifacts).put(tanks.CONTRACT.digest(), containing(root), self.settings.home)

    def held_out(self, model: Model, rows: Snapshot | None = None) -> HeldOut:
        cache = self.settings.artifact_cache
        kept = KeptCode(self.settings.artifacts, cache.parent / "code", self.settings.snapshots)
        return HeldOut(model, rows or self.rows, ArtifactStore(self.settings.artifacts), cache, kept)

    def answers(self) -> Any:
        """What it answers by the code that it was trained with."""
        found = self.held_out(BEFORE).scores(self.artifact)
        assert found is not None
        return found


@pytest.fixture(autouse=True)
def importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", python_path(tmp_path, ROOT))


@pytest.mark.parametrize("contract", [TURNED, FEWER], ids=["of another meaning", "that is gone"])
def test_it_is_scored_by_its_own_features_where_its_code_is_kept(tmp_path: Path, contract: Any) -> None:
    release, model = Release(tmp_path), replace(BEFORE, contract=contract)
    held_out = release.held_out(model)
    scores = held_out.scores(release.artifact)
    assert scores is not None
    assert len(scores) == 1_500
    assert scores.tobytes() == release.answers().tobytes()
    assert held_out.compare(release.artifact, release.artifact).other_contract == ""


def test_it_is_scored_by_the_rows_that_are_judged_on(tmp_path: Path) -> None:
    release = Release(tmp_path)
    table = release.rows.batches().read_all()
    place = table.schema.names.index("overflows")
    outcomes = [None if n % 7 == 0 else value for n, value in enumerate(table["overflows"].to_pylist())]
    rows = tanks.stored(
        release.settings,
        "overflow.some",
        table.set_column(place, "overflows", tanks.pyarrow.array(outcomes, tanks.pyarrow.int64())),
        table["asked_at"][0].as_py(),
    )
    scores = release.held_out(replace(BEFORE, contract=TURNED, null_outcome="leave_out"), rows).scores(release.artifact)
    assert scores is not None
    expected = release.answers()[[n for n in range(1_500) if n % 7]]
    assert scores.tobytes() == expected.tobytes()


def test_without_its_code_it_is_scored_by_the_features_of_now_and_that_is_said(tmp_path: Path) -> None:
    release = Release(tmp_path, "1 / 0\n")
    held_out = release.held_out(replace(BEFORE, contract=TURNED))
    scores = held_out.scores(release.artifact)
    assert scores is not None
    assert not np.array_equal(scores, release.answers())
    assert held_out.compare(release.artifact, release.artifact).other_contract == tanks.CONTRACT.digest()
    assert release.held_out(replace(BEFORE, contract=FEWER)).scores(release.artifact) is None


def test_rows_that_lack_a_column_of_its_code_leave_it_unscored(tmp_path: Path) -> None:
    release = Release(tmp_path)
    table = release.rows.batches().read_all().drop_columns(["site"])
    rows = tanks.stored(release.settings, "overflow.fewer", table, table["asked_at"][0].as_py())
    request = msgspec.defstruct(
        "Fewer",
        [("tank", int), ("inflow", float), ("level", float), ("asked_at", datetime | None, None)],
        frozen=True,
        forbid_unknown_fields=True,
    )
    model = replace(BEFORE, contract=msgspec.structs.replace(FEWER, request=request), gate=tanks.GateRule(floor=0.5))
    assert release.held_out(model, rows).scores(release.artifact) is None
