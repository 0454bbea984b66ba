"""The engine alone: a small wheel that installs into an empty environment and gives the same numbers."""

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import files
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from penstock.artifact.load import load
from penstock.artifact.native import compiled
from penstock.artifact.packing.pack import pack
from penstock.declare.discovery import declared
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.ledger import current
from penstock.scaffold.archive import unpacked
from penstock.scaffold.manifest import template_files
from penstock.snapshots.store import SnapshotStore
from penstock.training.frame import training_rows
from tests.checkout import ROOT
from tests.engine.artifact.random_models import matrix_columns, matrix_features
from tests.example import Example

MADE = shutil.ignore_patterns("*.so", "__pycache__", "*.egg-info", "build")
BANNED = ("pandas", "sklearn", "scipy", "dagster", "ray", "sqlalchemy", "skops", "fsspec")
NEEDED = (
    "py.typed",
    "releases/card.html",
    "scaffold/rendered/Makefile.jinja",
    "scaffold/template.tar.xz",
    "serving/on_ray/import_stubs/pandas.py",
    "serving/routes/page.html",
)
ASK = f"""
import importlib.util, json, sys
import numpy as np
from penstock.artifact.load import load
from penstock.artifact.native import compiled
from penstock.client import Client
from penstock.contract.registry import contracts
columns = {{name: np.array(values) for name, values in json.load(open(sys.argv[2])).items()}}
found = [load(sys.argv[1], engine=engine).predict(columns).tolist() for engine in sys.argv[3:]]
present = [name for name in {BANNED!r} if importlib.util.find_spec(name)]
print(json.dumps({{"found": found, "present": present, "compiled": compiled(), "contracts": sorted(contracts())}}))
"""


def run(*arguments: str | Path, **environment: str) -> str:
    command = [str(argument) for argument in arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd="/", env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def built(folder: Path, **environment: str) -> Path:
    """The engine's wheel, built as a package index would have it: from the source distribution, made of a copy."""
    copy = folder / "engine"
    shutil.copytree(ROOT / "penstock", copy / "penstock", ignore=MADE)
    for name in ("setup.py", "README.md", "MANIFEST.in", "LICENSE", *template_files(ROOT)):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    in_the_copy = f"import os; os.chdir({str(copy)!r}); from setuptools import build_meta as build;"
    run(sys.executable, "-c", f"{in_the_copy} build.build_sdist({str(folder)!r})")
    return wheel_of(next(folder.glob("*.tar.gz")), folder, **environment)


def wheel_of(copy: Path, folder: Path, **environment: str) -> Path:
    """The wheel of the sources in `copy`, in `folder`."""
    wheel = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, copy]
    run(*wheel, **environment)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def wheel(slow: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as it is built here."""
    return built(tmp_path_factory.mktemp("wheel"))


def has_kernel(wheel: Path) -> bool:
    return any(name.endswith((".so", ".pyd")) for name in zipfile.ZipFile(wheel).namelist())


def test_the_wheel_is_small_and_holds_the_engine_alone(wheel: Path) -> None:
    template = zipfile.ZipFile(wheel).getinfo("penstock/scaffold/template.tar.xz").compress_size
    assert template < 60_000
    assert wheel.stat().st_size - template < 1_000_000
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"penstock"}
    assert len(top) == 2
    for needed in NEEDED:
        assert f"penstock/{needed}" in names
    own = {path.relative_to(ROOT).as_posix() for path in (ROOT / "penstock").rglob("*.sql")}
    assert {name for name in names if name.endswith(".sql")} == own
    assert own
    assert has_kernel(wheel) == compiled()


def test_the_wheel_holds_all_that_new_projects_are_made_of(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    with unpacked(tmp_path / "penstock" / "scaffold", checkout=tmp_path) as top:
        packed = {path.relative_to(top).as_posix() for path in top.rglob("*") if path.is_file()}
    assert packed == set(template_files(ROOT))


@pytest.mark.slow
def test_the_wheel_is_built_without_a_compiler_too(tmp_path: Path) -> None:
    assert not has_kernel(built(tmp_path, CC="false"))


@pytest.fixture(scope="module")
def alone(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an empty environment with the wheel and the project's contracts, as a service of one's own has."""
    folder = tmp_path_factory.mktemp("alone")
    shutil.copytree(ROOT / "model_tools", folder / "source" / "model_tools", ignore=MADE)
    contracts = wheel_of(folder / "source" / "model_tools", folder / "source")
    venv.create(folder)
    python = folder / "bin" / "python"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    run(*pip, "install", "-q", "--no-deps", wheel, contracts)
    packages = next((folder / "lib").glob("python3*/site-packages"))
    for needed in ("numpy", "msgspec"):  # as they are installed here: no index is asked
        for file in files(needed) or ():
            if ".." not in file.parts:
                (packages / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file.locate(), packages / file)
    assert "No broken requirements" in run(*pip, "check"), "it needs more than numpy and msgspec"
    return python


def asked_alone(alone: Path, artifact: Path, columns: dict[str, np.ndarray], folder: Path) -> list[Any]:
    """The predictions of each engine in the empty environment, in which nothing heavy is found."""
    (folder / "columns.json").write_text(json.dumps({name: values.tolist() for name, values in columns.items()}))
    engines = ["c", "numpy"] if compiled() else ["numpy"]
    said = json.loads(run(alone, "-c", ASK, artifact, folder / "columns.json", *engines))
    assert said["present"] == []
    assert said["compiled"] == compiled()
    assert said["contracts"] == ["flight_delay"]
    found: list[Any] = said["found"]
    assert len(found) == len(engines)
    return found


def test_it_installs_alone_and_predicts_the_same(alone: Path, tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).normal(size=(100, 3))
    model = HistGradientBoostingClassifier(max_iter=5).fit(matrix, matrix[:, 0] > 0)
    pack(model, tmp_path / "m", features=matrix_features(matrix), metadata={})
    columns = matrix_columns(matrix)

    for found in asked_alone(alone, tmp_path / "m", columns, tmp_path):
        assert found == load(tmp_path / "m").predict(columns).tolist()


def test_the_command_of_the_bare_engine_names_the_extra_that_brings_the_command_line(alone: Path) -> None:
    done = subprocess.run([alone.with_name("penstock"), "up"], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 1
    assert done.stderr.startswith("penstock: this needs penstock[pipeline] or penstock[serve], whose module 'click'")
    assert done.stderr.strip().endswith("pip install 'penstock[pipeline]'")


def test_a_released_artifact_gives_the_same_numbers_there(
    alone: Path, materialized: dg.ExecuteInProcessResult, example: Example, tmp_path: Path
) -> None:
    model = declared().models["flight_delay"]
    released = current(example.prod, "flight_delay")
    assert released is not None
    artifact = ArtifactStore(example.settings.artifacts).fetch(released.artifact, tmp_path)
    holdout = SnapshotStore(example.settings.snapshots).open(released.holdout_snapshot)
    vectors = dict(training_rows(model, holdout.batches().read_all().slice(0, 500)).vectors)

    for found in asked_alone(alone, artifact, vectors, tmp_path):
        assert found == load(artifact).predict(vectors).tolist()


def test_packing_and_predicting_import_neither_pandas_nor_scikit_learn() -> None:
    modules = "sys, penstock.artifact.load, penstock.artifact.packing.pack"
    code = f"import {modules}; print([m for m in {BANNED!r} if m in sys.modules])"
    assert run(sys.executable, "-c", code).strip() == "[]"
