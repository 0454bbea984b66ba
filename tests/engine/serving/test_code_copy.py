"""Copies of a project's code, and the history of what was deployed."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from penstock.project import Project, containing
from penstock.serving.deploying.code_copy import Code, keep
from penstock.serving.deploying.history import FRESH_SECONDS, Deploy, History

FILES = {
    "pyproject.toml": '[tool.penstock]\nname = "shop"\n',
    "model_tools/basket.py": "A = 1\n",
    "model_tools/words.json": "{}",
    "serve_app/routes.yaml": "own: []\n",
    "own/deep/more.py": "B = 1\n",
}
LEFT_OUT = {
    "serve_app/serve_config.yaml": "applications: []\n",
    "own/data.csv": "1",
    "tests/test_basket.py": "",
    ".venv/lib/site-packages/x.py": "",
    "env/pyvenv.cfg": "",
    "env/y.py": "",
    ".hidden/z.py": "",
    "state/w.py": "",
    "model_tools/__pycache__/basket.pyc": "",
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    for name, text in (FILES | LEFT_OUT).items():
        path = tmp_path / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return containing(tmp_path / "shop")


def copied(project: Project) -> Code:
    home = project.root / "state"
    return keep(project, home / "deploys", home)


def test_what_the_service_may_import_or_read_is_copied_and_nothing_else(project: Project) -> None:
    folder = Path(copied(project).folder)
    found = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert found == FILES
    assert containing(folder).name == "shop"


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_change_of_any_copied_file_is_other_code(project: Project, name: str) -> None:
    before = copied(project)
    assert copied(project) == before
    (project.root / name).write_text(FILES[name] + "\n")
    after = copied(project)
    assert after.digest != before.digest
    assert (Path(before.folder) / name).read_text() == FILES[name], "the copy of before stays"


@pytest.mark.parametrize("name", sorted(LEFT_OUT))
def test_what_is_left_out_changes_nothing(project: Project, name: str) -> None:
    before = copied(project)
    (project.root / name).write_text(LEFT_OUT[name] + "changed")
    assert copied(project) == before


def deploy(history: History, code: str, config: str = "", head: str = "head") -> int:
    folder = history.place / code / "shop"
    folder.mkdir(parents=True, exist_ok=True)
    return history.add(Deploy(0, datetime.now(UTC), Code(code, "", str(folder)), config, {}, head))


def test_the_history_numbers_what_differs_and_goes_back_one_by_one(tmp_path: Path) -> None:
    history = History(tmp_path)
    assert (history.newest(), history.running("head")) == (None, None)
    assert [deploy(history, "a"), deploy(history, "b"), deploy(history, "b"), deploy(history, "b", "other")] == [
        1,
        2,
        2,
        3,
    ]
    target = history.newest(1)
    assert target is not None
    history.go_back(target)
    assert [one.number for one in history.all()] == [1, 2]
    assert history.running("head") == target
    assert history.running("another head") is None
    assert deploy(history, "c") == 3


def test_copies_that_no_deploy_names_go_unless_one_is_about_to_begin(tmp_path: Path) -> None:
    history = History(tmp_path)
    deploy(history, "a")
    old, fresh = history.place / "old", history.place / "fresh"
    for folder in (old, fresh):
        (folder / "shop").mkdir(parents=True)
    long_ago = time.time() - FRESH_SECONDS - 60
    for folder in (old, history.place / "a"):
        os.utime(folder, (long_ago, long_ago))
    deploy(history, "b")
    assert sorted(one.name for one in history.place.iterdir() if one.is_dir()) == ["a", "b", "fresh"]
