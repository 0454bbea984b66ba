"""The rules of the house: what is loaded with what, what only the example knows, what help explains."""

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from docs import rooms
from penstock.cli.main import COMMANDS, penstock
from tests.checkout import ROOT

PACKAGES = ("penstock", "model_tools", "schemas", "resources", "assets", "serve_app")
DEV_BOOK = Path("penstock/serving/models/in_warehouse.py")
"""Of serving, what no replica loads: the dev book reads the warehouse itself."""
COMMAND_MODULES = ROOT / "penstock" / "cli" / "commands"
BARE = ("model_tools", "penstock/artifact", "penstock/contract", "penstock/client.py", "penstock/digests.py")
LONGEST_FILE = 300
MOST_TAKING_SETTINGS = 18
LIBRARIES = {
    "penstock/artifact/skops_artifact.py": {"skops"},
    "penstock/artifact/skops_tables.py": {"pandas"},
    "penstock/artifact/catboost_artifact.py": {"catboost", "pandas"},
}
"""What a file that predicts with a library imports of it."""
EXAMPLE_WORDS = re.compile(r"flight|carrier|airport|airline|weather|tailnum|nyc|\bplanes?\b|\bjfk\b|\bewr\b", re.I)
EXAMPLE_PATHS = re.compile(
    r"flight_delay|^workspace\.yaml$|resources/example\.py|resources/sql/example_warehouse|^(docs|tests|benchmarks)/|^[A-Z]+\.md$"
)
EXAMPLE_COMMANDS = re.compile(r"epilog=.*$")  # the example of a command's --help names a model
PARTICIPLE = re.compile(r"(?<![Ff])ed$|^(Happened|Taken|Known|Written|Chosen)$")
HOSTS = re.compile(r"\b(files\.pythonhosted\.org|pypi\.org|test\.pypi\.org)\b|--(extra-)?index-url|--find-links")
SQL = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER)\s+[\w*'\"]")
HAND_QUOTED = re.compile(r"""replace\((?:'"', '""'|"'", "''")\)""")
QUOTING = {"penstock/postgres/quoting.py", "penstock/warehouse/interface.py"}
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
    """The Python files below folders of ours, or the one that is named; without what Ray finds instead of packages."""
    found = [path for path in tracked() if path.suffix == ".py" and path.parent.name != "import_stubs"]
    files = [path for path in found if any(path.is_relative_to(room) for room in rooms)]
    assert files, f"no file is below {rooms}"
    return files


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


def test_contracts_artifacts_and_the_client_need_nothing_but_numpy_and_msgspec() -> None:
    own = {"penstock", "model_tools", "numpy", "msgspec"} | set(sys.stdlib_module_names)
    files = room_files(*BARE)
    assert {path.parts[0] for path in files} == {"penstock", "model_tools"}
    for path in files:
        foreign = packages(imports(path)) - own - LIBRARIES.get(str(path), set())
        assert not foreign, f"{path} imports {sorted(foreign)}"
        loaded = packages(loaded_with(path)) - own
        assert not loaded, f"{path} loads {sorted(loaded)}"


@pytest.mark.parametrize("path", sorted({*room_files("serve_app", "penstock/serving")} - {DEV_BOOK}), ids=str)
def test_a_replica_loads_no_training_code(path: Path) -> None:
    heavy = {"pandas", "sklearn", "scipy", "dagster", "pandera", "duckdb", "matplotlib", "pyarrow"}
    loaded = loaded_with(path)
    assert not packages(loaded) & (heavy | {"assets", "schemas"})
    rooms = {".".join(name.split(".")[:2]) for name in loaded}
    assert not rooms & {"penstock.training", "penstock.graph", "penstock.cli"}
    assert not packages(imports(path)) & heavy


def test_a_replica_talks_to_postgres_through_asyncpg_alone() -> None:
    loaded = loaded_with(Path("penstock/serving/deployment.py"))
    assert "asyncpg" in packages(loaded)
    assert not packages(loaded) & {"psycopg", "sqlalchemy"}, "each costs a replica 10 MB"


def test_command_line_verification_and_retention_hold_no_sql() -> None:
    """A question to a book stands beside the class of the rows that it reads."""
    files = [*room_files("penstock/cli"), *room_files("penstock/verify"), *room_files("penstock/retention")]
    assert len(files) > 28
    assert not [f"{path}: {found}" for path in files for found in SQL.findall((ROOT / path).read_text())]


def test_names_in_sql_are_quoted_in_one_place_for_books_and_one_for_warehouses() -> None:
    files = room_files("penstock")
    by_hand = {str(path) for path in files if HAND_QUOTED.search((ROOT / path).read_text())}
    assert by_hand == QUOTING


def test_every_import_is_a_declared_dependency() -> None:
    declared = re.findall(r'^    "([A-Za-z0-9_-]+)', (ROOT / "pyproject.toml").read_text(), re.M)
    distributions = packages_distributions()
    provided = {m for m, found in distributions.items() if {d.lower() for d in found} & {d.lower() for d in declared}}
    known = provided | set(sys.stdlib_module_names) | set(PACKAGES)
    for path in room_files(*PACKAGES):
        missing = packages(imports(path)) - known
        assert not missing, f"{path} imports {sorted(missing)}, which pyproject.toml does not declare"


def test_only_the_example_knows_what_a_flight_is() -> None:
    files = list(tracked())
    assert len(files) > 300
    for path in files:
        if EXAMPLE_PATHS.search(str(path)) or path.parts[0] in {"requirements", "pyproject.toml"}:
            continue
        own = [EXAMPLE_COMMANDS.sub("", line) for line in (ROOT / path).read_text().splitlines()]
        known = {number: line.strip() for number, line in enumerate(own, 1) if EXAMPLE_WORDS.search(line)}
        assert known == {}, f"{path} knows the example"


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    long = {path: len((ROOT / path).read_text().splitlines()) for path in tracked() if path.suffix in {".py", ".sql"}}
    assert len(long) > 100
    assert not {str(path): lines for path, lines in long.items() if lines > LONGEST_FILE}


def test_settings_are_taken_only_where_a_process_is_put_together() -> None:
    """All else takes what it uses: a URL, a folder, a store."""
    taking = [
        f"{path}:{node.lineno} {node.name}"
        for path in room_files("penstock")
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for one in (*node.args.args, *node.args.kwonlyargs)
        if one.annotation and ast.unparse(one.annotation).strip("'") == "Settings"
    ]
    assert 10 < len(taking) <= MOST_TAKING_SETTINGS, taking


def test_no_files_import_each_other_in_a_circle() -> None:
    """Neither by an import within a function. What only annotates (`TYPE_CHECKING`) is no import."""
    engine = room_files("penstock")
    needed = {path: {file for name in imports(path) if (file := module_file(name)) and file != path} for path in engine}
    assert sum(map(len, needed.values())) > len(needed) > 300
    assert set(TopologicalSorter(needed).static_order()) >= needed.keys(), "a CycleError lists the files"


def test_the_picture_of_the_rooms_is_drawn_from_the_import_rules() -> None:
    drawn = rooms.svg((ROOT / "pyproject.toml").read_text())
    assert rooms.PICTURE.read_text() == drawn, "Run `python -m docs.rooms`."
    assert ">lookups</text>" in drawn


def test_no_class_is_named_by_a_participle() -> None:
    classes = [
        node.name
        for path in room_files(*PACKAGES, "benchmarks")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    ]
    assert len(classes) > 200
    assert not [name for name in classes if PARTICIPLE.search(name)]


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
    for path in room_files(*PACKAGES, "benchmarks"):
        assert ast.get_docstring(ast.parse((ROOT / path).read_text())), path


@pytest.mark.parametrize(
    "name", [name for name in COMMANDS if (ROOT / "penstock/cli/commands" / f"{name}.py").exists()]
)
def test_every_command_has_a_help_with_an_example(name: str) -> None:
    shown = CliRunner().invoke(penstock, [name, "--help"])
    assert shown.exit_code == 0
    assert re.search(rf"Example: [^\n]*\bpenstock {name}\b", shown.output)


def test_every_command_module_is_in_the_table_of_commands() -> None:
    for path in room_files("penstock/cli/commands"):
        module = importlib.import_module(f"penstock.cli.commands.{path.stem}")
        own = [v for v in vars(module).values() if isinstance(v, click.Command) and not isinstance(v, click.Group)]
        assert len(own) <= 1
        assert not own or path.stem in COMMANDS


def brought(extra: str) -> set[str]:
    """The modules that the bare engine and one extra of it bring."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"][extra]
    named = {re.split(r"[^A-Za-z0-9_-]", package)[0].lower() for package in wanted}
    return {module for module, found in packages_distributions().items() if {one.lower() for one in found} & named}


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("serve", "penstock/serving/deployment.py"),
        ("serve", "penstock/serving/bare.py"),
        ("serve", "penstock/serving/on_ray/apply.py"),
        ("pipeline", "penstock/graph/code_location.py"),
        ("pipeline", "penstock/graph/definitions.py"),
        ("pipeline", "penstock/training/run.py"),
    ],
)
def test_each_extra_brings_what_its_rooms_import(name: str, entry: str) -> None:
    known = brought(name) | set(sys.stdlib_module_names) | set(PACKAGES)
    files = {file for one in loaded_with(Path(entry)) if (file := module_file(one))}
    missing = {path: found for path in files if (found := packages(imports(path, lazy=False)) - known)}
    assert len(files) > 1
    assert missing == {}, f"{entry} loads {missing}, which are not in penstock[{name}]"


def test_importing_a_module_reads_no_environment() -> None:
    reading = set()
    for path in room_files("penstock"):
        waiting: list[ast.AST] = [ast.parse((ROOT / path).read_text())]
        while waiting:
            node = waiting.pop()
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                continue
            if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}:
                reading.add(str(path))
            waiting += ast.iter_child_nodes(node)
    assert reading == set()
