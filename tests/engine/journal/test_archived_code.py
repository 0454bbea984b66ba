"""Predictions that code of before made are made again by that code, where it is kept beside the artifact."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from penstock.contract.contract import Columns
from penstock.errors import PenstockError
from penstock.journal.replay import Replay
from penstock.journal.verdict import Verdict
from penstock.project import containing
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.code_archive import CodeArchive
from tests.checkout import ROOT, python_path
from tests.engine.projects import write_project
from tests.engine.serving import toy
from tests.engine.serving.conftest import Service, service, start

__all__ = ["service", "start"]

FILE = "from tests.engine.serving.toy import CONTRACT\n"


def other_features(columns: Columns) -> Columns:
    return toy.features(columns) | {"inflow": columns["inflow"] * 2}  # type: ignore[return-value]


NOW = msgspec.structs.replace(toy.CONTRACT, compute=other_features)


def replay(answered: Service, archive: CodeArchive | None) -> list[Verdict]:
    store = ArtifactStore(answered.settings.artifacts)
    made = Replay(answered.book, {"overflow": NOW}, store, answered.folder / "cache" / "artifacts", "", archive)
    return list(made.run(since=datetime.now(UTC) - timedelta(hours=1)))


@pytest.fixture
def answered(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    """Three answers of a contract that the code no longer has."""
    monkeypatch.setenv("PYTHONPATH", python_path(tmp_path, ROOT))
    assert NOW.digest() != toy.CONTRACT.digest()
    for inflow in (1.0, 2.0, 3.0):
        assert service.ask(inflow=inflow, valve=int(inflow)).status_code == 200
    return service


@pytest.mark.slow
def test_predictions_of_code_that_is_kept_are_made_again_to_the_bit(answered: Service, tmp_path: Path) -> None:
    archive = CodeArchive(answered.settings.artifacts)
    root = write_project(tmp_path / "before", {"model_tools/overflow.py": FILE, "tests/notes.py": "", "a.txt": "a"})
    archive.put(toy.CONTRACT.digest(), containing(root), tmp_path / "home")
    (root / "model_tools" / "overflow.py").write_text("1 / 0\n")
    verdicts = replay(answered, archive)
    assert [(one.stage, one.needs_code) for one in verdicts] == [("", "")] * 3, verdicts
    unpacked = archive.fetch(toy.CONTRACT.digest(), tmp_path / "unpacked")
    assert unpacked is not None
    found = sorted(path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file())
    assert found == ["model_tools/__init__.py", "model_tools/overflow.py", "pyproject.toml"]


def test_predictions_whose_code_is_not_kept_are_counted_by_it(answered: Service) -> None:
    verdicts = replay(answered, CodeArchive(answered.settings.artifacts))
    digest = toy.CONTRACT.digest()[:12]
    assert [one.needs_code for one in verdicts] == [f"of an unknown version (contract {digest})"] * 3


@pytest.mark.slow
def test_code_that_does_not_run_here_is_one_sentence(answered: Service, tmp_path: Path) -> None:
    archive = CodeArchive(answered.settings.artifacts)
    root = write_project(tmp_path / "before", {"model_tools/overflow.py": "import gone\n"})
    archive.put(toy.CONTRACT.digest(), containing(root), tmp_path / "home")
    verdicts = replay(answered, archive)
    assert [one.stage for one in verdicts] == ["contract"] * 3
    (root / "model_tools" / "__init__.py").write_text("raise SystemExit(3)\n")
    archive.put("f" * 64, containing(root), tmp_path / "home")
    assert archive.fetch("f" * 64, tmp_path / "unpacked") is not None
    assert archive.fetch("e" * 64, tmp_path / "unpacked") is None
    with pytest.raises(PenstockError, match="64 hexadecimal digits"):
        archive.fetch("../etc", tmp_path / "unpacked")
