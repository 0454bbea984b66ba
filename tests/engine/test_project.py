import sys
from pathlib import Path

import pytest

from penstock import settings
from penstock.project import Project, ProjectError, containing, find, find_or_none, plain_name
from tests.engine.projects import run_in, write_project


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PENSTOCK_PROJECT", "PENSTOCK_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_a_project_is_found_from_any_folder_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_project(tmp_path / "shop", {"assets/sql/deep/x.sql": ""}, declared='name = "shop"\nseed = "a.b"')
    monkeypatch.chdir(root / "assets" / "sql" / "deep")
    assert find() == containing(root / "pyproject.toml") == Project(root, "shop", "a.b")


def test_a_pyproject_of_another_tool_on_the_way_is_passed_by(tmp_path: Path) -> None:
    root = write_project(tmp_path / "shop", {"model_tools/pyproject.toml": "[project]\nname = 'model_tools'\n"})
    assert containing(root / "model_tools").root == root


def test_the_environment_names_the_project_wherever_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, other = write_project(tmp_path / "here"), write_project(tmp_path / "other", declared='name = "other"')
    monkeypatch.chdir(here)
    monkeypatch.setenv("PENSTOCK_PROJECT", str(other))
    assert find().name == "other"
    monkeypatch.setenv("PENSTOCK_PROJECT", str(tmp_path))
    with pytest.raises(ProjectError, match=r"PENSTOCK_PROJECT=.*found a folder without it"):
        find_or_none()


def test_where_there_is_no_project_the_error_says_how_to_come_to_one(tmp_path: Path) -> None:
    assert find_or_none() is None
    with pytest.raises(ProjectError) as refused:
        find()
    said = str(refused.value)
    assert said.startswith(f"no project here: expected a pyproject.toml with [tool.penstock] in {tmp_path} or a folder")
    assert said.endswith("penstock init DIR")


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ('nmae = "x"', "Did you mean name"),
        ("name = 3", "expected texts for name and seed"),
        ('name = "my shop"', "expected a name of letters"),
        ("name =", "expected TOML"),
    ],
)
def test_a_declaration_that_cannot_be_used_names_the_file_and_the_fault(
    tmp_path: Path, declared: str, said: str
) -> None:
    root = write_project(tmp_path / "shop", declared=declared)
    with pytest.raises(ProjectError, match=said) as refused:
        containing(root)
    assert str(root / "pyproject.toml") in str(refused.value)


@pytest.mark.parametrize(
    ("folder", "name"),
    [("shop", "shop"), ("My Shop: 2", "My-Shop-2"), ("größe", "gr-e"), ("42", "project-42"), ("…", "project")],
)
def test_without_a_name_it_is_called_like_its_folder(tmp_path: Path, folder: str, name: str) -> None:
    assert plain_name(folder) == name
    assert containing(write_project(tmp_path / folder, declared="")).name == name


def test_its_folder_is_first_on_the_path_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = containing(write_project(tmp_path / "shop"))
    monkeypatch.setattr(sys, "path", ["", "/elsewhere", str(project.root)])
    project.put_on_path()
    project.put_on_path()
    assert sys.path == [str(project.root), "", "/elsewhere"]


def test_state_is_in_the_project_unless_the_environment_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_project(tmp_path / "shop")
    with pytest.raises(ProjectError, match="no project here"):
        settings.load()
    monkeypatch.setenv("PENSTOCK_HOME", "state/here")
    assert settings.load().home == tmp_path / "state" / "here"
    assert settings.load().project is None
    monkeypatch.delenv("PENSTOCK_HOME")
    monkeypatch.chdir(root)
    assert settings.load().home == root / ".penstock"
    assert settings.load().project == containing(root)


def test_a_file_that_every_project_has_is_missed_by_name(tmp_path: Path) -> None:
    project = containing(write_project(tmp_path / "shop"))
    with pytest.raises(ProjectError, match=r"serve_config\.yaml: expected a file of the project, found none"):
        _ = project.serve_config


@pytest.mark.slow
def test_the_engine_can_be_imported_and_explained_where_no_project_is(tmp_path: Path) -> None:
    for command in (["--help"], ["--version"], ["init", "--help"]):
        assert run_in(tmp_path, "-m", "penstock", *command).returncode == 0, command
    refused = run_in(tmp_path, "-m", "penstock", "status")
    assert refused.returncode == 1
    assert refused.stderr.startswith("penstock: no project here: expected")
