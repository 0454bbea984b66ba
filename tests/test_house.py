"""The rules of the house: who may import whom, what only the example knows, how long a file is, what help explains."""

import ast
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from penstock.cli.main import COMMANDS, penstock
from penstock.project import ROOT

ROOMS = {
    "model_tools": set[str](),
    "schemas": {"model_tools"},
    "resources": {"model_tools", "schemas"},
    "training": {"model_tools", "schemas", "resources"},
    "assets": {"model_tools", "schemas", "resources", "training"},
    "serve_app": {"model_tools", "resources"},
    "cli": {"model_tools", "schemas", "resources", "training", "assets", "serve_app"},
}
LONGEST_FILE = 300
SKOPS_FILE = "penstock/artifact/skops_artifact.py"  # the one estimator format that needs scikit-learn, loaded on demand
EXAMPLE_WORDS = re.compile(r"flight|carrier|airport|airline|weather|tailnum|nyc|\bplanes?\b|\bjfk\b|\bewr\b", re.I)
EXAMPLE_PATHS = re.compile(r"flight_delay|resources/(sql/)?example_warehouse|^(docs|tests|benchmarks)/|^[A-Z]+\.md$")
EXAMPLE_COMMANDS = re.compile(r"epilog=.*$")  # the example of a command's --help names a model
HOSTS = re.compile(r"\b(files\.pythonhosted\.org|pypi\.org|test\.pypi\.org)\b|--(extra-)?index-url|--find-links")
MADE = re.compile(r"^(\.(?!ci$).*|build|dist|__pycache__|.*\.egg-info)$")
TEXT = {".py", ".sql", ".yaml", ".yml", ".toml", ".md", ".txt", ".in", ".c", ".h", ".sh", ".html", ".css", ".js", ""}


def tracked() -> Iterator[Path]:
    """The text files of the repository, relative to its root, without what is made."""
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [f for f in folders if not MADE.search(f)]
        for name in files:
            path = (Path(folder) / name).relative_to(ROOT)
            if path.suffix in TEXT and not path.name.endswith(".so"):
                yield path


def room_files(*rooms: str) -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py" and path.parts[0] in rooms and path.name != "setup.py"]


@cache
def imports(path: Path, *, lazy: bool = True) -> frozenset[str]:
    """The modules that a file imports by full name; without `lazy`, only those imported when it is."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not lazy:
            return
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(str(node.module))
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse((ROOT / path).read_text()))
    return frozenset(found)


def module_file(name: str) -> Path | None:
    base = Path(*name.split("."))
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if (ROOT / p).is_file()), None)


def loaded_with(path: Path) -> set[str]:
    """All modules that come along when a file of ours is imported, as far as our own files go."""
    seen, names, waiting = {path}, set[str](), [path]
    while waiting:
        for name in imports(waiting.pop(), lazy=False):
            names.add(name)
            file = module_file(name)
            if file and file not in seen:
                seen.add(file)
                waiting.append(file)
    return names


def packages(names: set[str] | frozenset[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_rooms_below_it(room: str) -> None:
    for path in room_files(room):
        wrong = (packages(imports(path)) & set(ROOMS)) - ROOMS[room] - {room}
        assert not wrong, f"{path} imports {sorted(wrong)}"


def test_model_tools_needs_nothing_but_numpy_and_msgspec() -> None:
    own = {"model_tools", "numpy", "msgspec"}
    for path in room_files("model_tools"):
        foreign = packages(imports(path)) - set(sys.stdlib_module_names) - own
        allowed = {"skops", "pandas"} if str(path) == SKOPS_FILE else set()
        assert not foreign - allowed, f"{path} imports {sorted(foreign)}"
        assert not packages(imports(path, lazy=False)) & {"skops", "pandas"}, f"{path} imports {allowed} when loaded"


@pytest.mark.parametrize("path", room_files("serve_app"), ids=str)
def test_a_replica_loads_no_training_code(path: Path) -> None:
    heavy = {"pandas", "sklearn", "scipy", "dagster", "pandera", "duckdb", "matplotlib", "pyarrow"}
    assert not packages(loaded_with(path)) & (heavy | {"assets", "training", "schemas"})
    assert not packages(imports(path)) & heavy


def test_every_import_is_a_declared_dependency() -> None:
    declared = re.findall(r'^    "([A-Za-z0-9_-]+)', (ROOT / "pyproject.toml").read_text(), re.M)
    distributions = packages_distributions()
    provided = {m for m, found in distributions.items() if {d.lower() for d in found} & {d.lower() for d in declared}}
    known = provided | set(sys.stdlib_module_names) | set(ROOMS)
    for path in room_files(*ROOMS):
        missing = packages(imports(path)) - known - {"skops"}
        assert not missing, f"{path} imports {sorted(missing)}, which pyproject.toml does not declare"


def test_only_the_example_knows_what_a_flight_is() -> None:
    for path in tracked():
        if EXAMPLE_PATHS.search(str(path)) or path.parts[0] in {"requirements", "pyproject.toml"}:
            continue
        for number, line in enumerate((ROOT / path).read_text().splitlines(), 1):
            found = EXAMPLE_WORDS.search(EXAMPLE_COMMANDS.sub("", line))
            assert not found, f"{path}:{number} knows the example: {line.strip()}"


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    long = {path: len((ROOT / path).read_text().splitlines()) for path in tracked() if path.suffix in {".py", ".sql"}}
    assert not {str(path): lines for path, lines in long.items() if lines > LONGEST_FILE}


def test_nothing_names_a_package_host() -> None:
    for path in tracked():
        if path.name != "test_house.py":
            assert not HOSTS.search((ROOT / path).read_text()), path


def test_every_package_is_pinned_with_hashes() -> None:
    for name in ("run", "dev"):
        text = (ROOT / "requirements" / f"{name}.txt").read_text()
        pinned = re.findall(r"^[a-z0-9][^\s=]*==\S+.*(?:\n {4}--hash=sha256:[0-9a-f]{64}.*)+", text, re.M)
        assert len(pinned) == len(re.findall(r"^[a-z0-9]", text, re.M)) > 100


def test_make_help_explains_every_target() -> None:
    explained = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"^([a-z][a-z%-]*):(?!=)", (ROOT / "Makefile").read_text(), re.M)
    assert targets
    for target in targets:
        assert re.search(rf"^  make {re.escape(target)} +\S", explained, re.M), f"make help is silent about {target}"


def test_every_module_says_what_lives_there() -> None:
    for path in room_files(*ROOMS, "benchmarks"):
        assert ast.get_docstring(ast.parse((ROOT / path).read_text())), path


@pytest.mark.parametrize("name", [name for name in COMMANDS if (ROOT / "cli" / f"{name}.py").exists()])
def test_every_command_has_a_help_with_an_example(name: str) -> None:
    shown = CliRunner().invoke(penstock, [name, "--help"])
    assert shown.exit_code == 0
    assert re.search(rf"Example: [^\n]*\bpenstock {name}\b", shown.output)


def test_every_command_module_is_in_the_table_of_commands() -> None:
    for path in room_files("cli"):
        module = importlib.import_module(f"cli.{path.stem}")
        own = [v for v in vars(module).values() if isinstance(v, click.Command) and not isinstance(v, click.Group)]
        assert len(own) <= 1
        assert not own or path.stem in COMMANDS
