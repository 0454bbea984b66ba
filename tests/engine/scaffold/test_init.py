"""`penstock init` from a checkout: complete, all or nothing, and without the example free of it."""

import filecmp
import importlib.metadata
import re
import shlex
import stat
import tarfile
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from penstock.cli.main import penstock
from penstock.errors import PenstockError
from penstock.project import containing
from penstock.scaffold import engine, project
from penstock.scaffold.archive import NAME, pack, unpacked
from penstock.scaffold.engine import Origin, requirement
from penstock.scaffold.manifest import template_files
from penstock.scaffold.project import write_project
from tests.checkout import PROJECT, ROOT
from tests.engine.projects import run_in

TOP_LEVEL = {
    ".ci", ".dockerignore", ".gitignore", "Containerfile", "Makefile", "README.md", "assets", "compose.yaml",
    "dagster.yaml", "model_tools", "pyproject.toml", "requirements", "resources", "schemas", "serve_app", "tests",
    "workspace.yaml",
}  # fmt: skip


def files(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_a_new_project_has_the_top_level_and_is_found_as_one(tmp_path: Path) -> None:
    made = write_project(tmp_path / "shop")
    root = tmp_path / "shop"
    assert {path.name for path in root.iterdir()} == TOP_LEVEL
    assert containing(root / "assets") == made.project
    assert (made.project.name, made.project.seed) == ("shop", "")
    assert "location_name: shop\n" in made.project.workspace.read_text()
    assert made.project.serve_config.is_file()
    assert made.files == len(files(root))
    assert (root / ".ci" / "run").stat().st_mode & stat.S_IXUSR


def test_without_the_example_nothing_in_it_is_of_the_example(tmp_path: Path) -> None:
    write_project(tmp_path / "shop")
    named = re.compile(r"flight|carrier|airport|airline|weather|tailnum", re.I)
    texts = {path: path.read_text() for path in (tmp_path / "shop").rglob("*") if path.is_file()}
    texts = {path: text for path, text in texts.items() if path.parent.name != "requirements"}
    assert len(texts) > 15
    assert not [str(path) for path, text in texts.items() if named.search(text) or named.search(path.name)]


def test_with_the_example_every_file_of_the_checkouts_own_project_is_in_it(tmp_path: Path) -> None:
    made = write_project(tmp_path / "store", PROJECT.name)
    assert made.project.seed == PROJECT.seed
    for folder in ("assets", "model_tools", "resources", "schemas", "serve_app"):
        own = {name for name in template_files(ROOT) if name.startswith(f"{folder}/")}
        assert own <= files(tmp_path / "store")
        assert all(filecmp.cmp(ROOT / name, tmp_path / "store" / name, shallow=False) for name in own)
        assert own


@pytest.mark.slow
@pytest.mark.parametrize("name", ["My Shop", "größe 日本", 'it\'s "quoted"', "50%#1:2&$HOME", "42"])
def test_any_folder_name_makes_a_project(tmp_path: Path, name: str) -> None:
    made = write_project(tmp_path / name)
    assert containing(tmp_path / name) == made.project
    shown = run_in(tmp_path / name, "-m", "pytest", "-q", "tests", "-k", "every_file_imports or dagster_loads")
    assert "2 passed" in shown.stdout, shown.stdout


def test_a_folder_that_is_not_empty_is_refused_with_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(PenstockError, match=r"expected a new or empty folder, found notes\.txt\. Name another"):
        write_project(tmp_path)
    with pytest.raises(PenstockError, match="found a file"):
        write_project(tmp_path / "notes.txt")
    assert files(tmp_path) == {"notes.txt"}


def test_an_empty_folder_is_filled_and_stays_the_same_folder(tmp_path: Path) -> None:
    before = tmp_path.stat().st_ino
    write_project(tmp_path)
    assert tmp_path.stat().st_ino == before
    assert {path.name for path in tmp_path.iterdir()} == TOP_LEVEL


@pytest.mark.parametrize("place", ["new/below/that", "empty"])
def test_after_a_failure_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    (tmp_path / "empty").mkdir()

    def fail(_: Path) -> str:
        raise OSError("no space left")

    monkeypatch.setattr(project, "write_requirement", fail)
    with pytest.raises(OSError, match="no space left"):
        write_project(tmp_path / place)
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


def test_an_example_that_is_not_there_is_refused_with_the_one_that_is(tmp_path: Path) -> None:
    with pytest.raises(PenstockError, match=f"--example: expected {PROJECT.name}, found 'trains'"):
        write_project(tmp_path / "x", "trains")
    assert not (tmp_path / "x").exists()


def test_the_command_says_what_comes_next(tmp_path: Path) -> None:
    shown = CliRunner().invoke(penstock, ["init", str(tmp_path / "my shop")])
    assert shown.exit_code == 0
    assert f"cd '{tmp_path}/my shop'\nmake up" in shown.output


@pytest.mark.parametrize(
    ("origin", "line"),
    [
        (None, "penstock==1.2"),
        ({"url": "file:///a%20b", "dir_info": {"editable": True}}, "-e '/a b'"),
        ({"url": "file:///a", "dir_info": {}}, "penstock @ file:///a"),
        ({"url": "https://h/p.whl", "archive_info": {"hash": "sha256=1"}}, "penstock @ https://h/p.whl"),
        (
            {"url": "https://h/p.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}, "subdirectory": "x"},
            "penstock @ git+https://h/p.git@abc#subdirectory=x",
        ),
    ],
)
def test_a_project_installs_the_engine_from_where_this_one_came(origin: object, line: str) -> None:
    assert requirement(None if origin is None else msgspec.convert(origin, Origin), "1.2") == line


def test_the_wheel_that_the_engine_came_from_goes_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tmp_path / "penstock-1.2-py3-none-any.whl"
    wheel.write_bytes(b"a wheel")

    class Installed:
        version = "1.2"

        def read_text(self, name: str) -> str:
            return msgspec.json.encode({"url": wheel.as_uri(), "archive_info": {}}).decode()

    monkeypatch.setattr(importlib.metadata, "distribution", lambda _: Installed())
    (tmp_path / "shop" / "requirements").mkdir(parents=True)
    assert engine.write_requirement(tmp_path / "shop") == f"./requirements/{wheel.name}"
    assert (tmp_path / "shop" / "requirements" / wheel.name).read_bytes() == b"a wheel"
    wheel.unlink()
    assert engine.write_requirement(tmp_path / "shop") == f"penstock @ {wheel.as_uri()}"


def test_the_archive_is_unpacked_by_the_python_of_debian_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def of_3_11_2(_: tarfile.TarFile, path: str = ".", members: object = None) -> None:
        raise AssertionError("used without a filter")

    monkeypatch.setattr(tarfile.TarFile, "extractall", of_3_11_2)
    pack(ROOT, tmp_path)
    with unpacked(tmp_path, checkout=ROOT) as top:
        assert (top / "pyproject.toml").read_bytes() == (ROOT / "pyproject.toml").read_bytes()


def test_the_archive_in_the_wheel_holds_the_template_and_is_the_same_each_time(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        pack(ROOT, tmp_path / folder)
    assert filecmp.cmp(tmp_path / "one" / NAME, tmp_path / "two" / NAME, shallow=False)
    with unpacked(tmp_path / "one", checkout=tmp_path) as top:
        assert files(top) == set(template_files(ROOT))
        assert containing(top).name == PROJECT.name


def pins(path: Path) -> dict[str, set[str]]:
    """Package with version -> hashes."""
    found = re.findall(r"^([a-z0-9][\w.-]*==\S+)[^\\\n]*((?: \\\n    --hash=\S+)+)", path.read_text(), re.M)
    return {name: set(re.findall(r"sha256:(\w{64})", hashes)) for name, hashes in found}


@pytest.mark.parametrize("name", ["run", "dev"])
def test_the_pins_of_a_project_are_the_engines_own(name: str) -> None:
    mine, ours = (pins(ROOT / "requirements" / folder / f"{name}.txt") for folder in ("project", "."))
    assert mine.keys() <= ours.keys(), "Run `make lock`."
    assert all(hashes and hashes <= ours[package] for package, hashes in mine.items())
    if name == "run":
        assert {package.partition("==")[0] for package in ours.keys() - mine.keys()} == {"pywin32"}  # Windows alone


def test_the_project_of_an_editable_engine_uses_it(tmp_path: Path) -> None:
    made = write_project(tmp_path / "shop")
    assert made.engine == f"-e {shlex.quote(str(ROOT))}" or made.engine.startswith(("penstock", "./"))
    assert made.engine in (tmp_path / "shop" / "requirements" / "penstock.txt").read_text()
