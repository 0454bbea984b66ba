import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.importing import BrokenFiles, Modules, import_module, import_package
from penstock.project import ProjectError, containing
from tests.engine.projects import CONTRACT, DEFINITIONS, run_in, write_project

BROKEN = {
    "things/__init__.py": "",
    "things/good.py": "VALUE = 1\n",
    "things/_own.py": "raise RuntimeError('nobody imports this by itself')\n",
    "things/misspelt.py": "from things import geo\n",
    "things/geo.py": "import json\n\n\ndef load():\n    return json.loads('{')\n\n\nload()\n",
    "things/unfinished.py": "x = 1\ndef f(:\n",
    "things/refused.py": "from penstock.errors import ContractError\n\nraise ContractError('lookup', found='two')\n",
    "things/leaves.py": "raise SystemExit(3)\n",
}


@pytest.fixture(autouse=True)
def own_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", sys.path[:])
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "things"]:
        del sys.modules[name]


@pytest.fixture
def modules(tmp_path: Path) -> Modules:
    return import_package(containing(write_project(tmp_path / "shop", BROKEN)), "things")


def test_what_imports_is_there_however_many_others_do_not(modules: Modules) -> None:
    assert [module.__name__ for module in modules.found] == ["things.good"]
    assert [one.module for one in modules.broken] == [
        f"things.{name}" for name in ("geo", "leaves", "misspelt", "refused", "unfinished")
    ]


def test_each_fault_has_the_innermost_line_of_the_project_and_its_own_words(modules: Modules) -> None:
    said = {one.module.removeprefix("things."): str(one) for one in modules.broken}
    assert said["misspelt"] == said["geo"]
    assert said["geo"].startswith("things/geo.py, line 5: JSONDecodeError: Expecting property name")
    assert said["unfinished"] == "things/unfinished.py, line 2: SyntaxError: invalid syntax"
    assert said["refused"] == "things/refused.py, line 3: lookup: found two"
    assert said["leaves"] == "things/leaves.py, line 1: SystemExit: 3"


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("catboost", "this needs penstock[catboost], whose module 'catboost' is not installed here."),
        ("xgboost", "this needs penstock[xgboost], whose module 'xgboost' is not installed here."),
        ("no_such_library", "ModuleNotFoundError: import of no_such_library halted"),
    ],
)
def test_a_library_that_an_extra_brings_is_named_with_it(
    module: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    files = {"things/__init__.py": "", "things/trees.py": f"\nimport {module}\n"}
    (broken,) = import_package(containing(write_project(tmp_path / "shop", files)), "things").broken
    assert str(broken).startswith(f"things/trees.py, line 2: {said}")


def test_all_are_said_at_once_and_a_shared_cause_once(modules: Modules) -> None:
    lines = str(BrokenFiles(modules.broken)).splitlines()
    assert len(lines) == 4
    assert len([line for line in lines if line.startswith("things/geo.py, line 5")]) == 1


def test_a_package_that_a_project_does_not_have_has_no_modules(tmp_path: Path) -> None:
    assert import_package(containing(write_project(tmp_path / "shop")), "things") == Modules()


def test_the_package_of_another_folder_is_never_taken_for_the_projects(tmp_path: Path) -> None:
    first = containing(write_project(tmp_path / "first", {"things/__init__.py": "", "things/good.py": ""}))
    second = containing(write_project(tmp_path / "second", {"things/__init__.py": "", "things/good.py": ""}))
    assert import_module(first, "things.good").__file__ == str(first.root / "things" / "good.py")
    with pytest.raises(ProjectError, match=f"module things.*: expected that of {second.root}, found {first.root}"):
        import_package(second, "things")


TWO = {
    "model_tools/good.py": CONTRACT.format(name="good"),
    "model_tools/bad.py": CONTRACT.format(name="bad") + "\nhelper()\n",
    "assets/definitions.py": DEFINITIONS,
    "assets/bad.py": "from model_tools.bad import CONTRACT\n",
    "assets/worse.py": "x = (\n",
}
SAID = [
    "model_tools/bad.py, line 18: NameError: name 'helper' is not defined",
    "assets/worse.py, line 1: SyntaxError: '(' was never closed",
]


def test_a_broken_file_stops_only_the_commands_that_need_it(tmp_path: Path) -> None:
    root = write_project(tmp_path / "shop", TWO)
    code = "from penstock.contract.registry import contract, read_contracts as read; print(*read().by_model);"
    assert run_in(root, "-c", code + "contract('good')").stdout == "good\n"
    refused = run_in(root, "-c", code + "contract('bad')")
    assert refused.stderr.strip().endswith(SAID[0])


PROGRAM = """
import sys
from penstock.importing import import_package
from penstock.project import find

print(import_package(find(), "things").broken[0], "__main__" in sys.modules)
"""
SLIP = """
from penstock.errors import PenstockError, demand_declared

demand_declared([PenstockError("thing", found="a slip")])
"""


@pytest.mark.parametrize("program", ["env/program.py", "../program.py"])
def test_a_program_whose_path_leads_through_the_project_stays_imported(tmp_path: Path, program: str) -> None:
    files = {"things/__init__.py": "", "things/slip.py": SLIP, "env/program.py": PROGRAM, "../program.py": PROGRAM}
    root = write_project(tmp_path / "shop", files)
    assert run_in(root, program).stdout == "things/slip.py, line 4: thing: found a slip True\n"


@pytest.mark.slow
def test_a_command_says_every_broken_file_in_a_sentence_each(tmp_path: Path) -> None:
    root = write_project(tmp_path / "shop", TWO)
    refused = run_in(root, "-m", "penstock", "train", "bad")
    assert refused.returncode == 1
    assert sorted(refused.stderr.removeprefix("penstock: ").splitlines()) == sorted(SAID)


@pytest.mark.slow
def test_a_model_whose_contract_alone_is_broken_is_not_called_unknown(tmp_path: Path) -> None:
    root = write_project(tmp_path / "shop", {"model_tools/bad.py": TWO["model_tools/bad.py"]})
    assert run_in(root, "-m", "penstock", "train", "bad").stderr == f"penstock: {SAID[0]}\n"


@pytest.mark.slow
def test_doctor_names_the_project_its_broken_files_and_what_it_lacks(tmp_path: Path) -> None:
    shown = run_in(write_project(tmp_path / "shop", TWO), "-m", "penstock", "doctor").stdout
    assert f"small at {tmp_path / 'shop'}: 1 contract, 0 models" in shown
    for sentence in [*SAID, f"{tmp_path / 'shop' / 'workspace.yaml'} is missing"]:
        assert shown.count(sentence) == 1


LOCATIONS = [["-m", "penstock.graph.code_location", "-a", "definitions"], ["-m", "assets.definitions"]]


def validated(root: Path, *location: str) -> str:
    """What Dagster says of a code location that it cannot load."""
    done = run_in(root, "-m", "dagster", "definitions", "validate", *location)
    assert done.returncode != 0
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("location", LOCATIONS, ids=" ".join)
def test_dagster_shows_the_sentences_and_no_frame(tmp_path: Path, location: list[str]) -> None:
    root = write_project(tmp_path / "shop", TWO)
    shown = validated(root, *location)
    assert all(sentence in shown for sentence in SAID)
    assert 'File "' not in shown
    assert "Traceback" not in shown


@pytest.mark.slow
def test_dagster_names_a_broken_definitions_file_as_well(tmp_path: Path) -> None:
    root = write_project(
        tmp_path / "shop", {"assets/definitions.py": "import dagster as dg\n\ndefs = dg.Definition()\n"}
    )
    shown = validated(root, *LOCATIONS[0])
    assert "assets/definitions.py, line 3: AttributeError: module 'dagster' has no attribute 'Definition'" in shown
    assert 'File "' not in shown


SEVERAL = {
    "things/__init__.py": "",
    "things/contracts.py": """import msgspec
from penstock.contract.contract import Column, Contract, Feature, Lookup, Output


class Ask(msgspec.Struct, frozen=True):
    n: float
    asked_at: str | None = None


SHOPS = Lookup("shops", key={}, columns=(Column("area", "number"),))
CONTRACT = Contract(
    model="late", purpose="A test.", request=Ask, entity=("shop",), lookups=(SHOPS,),
    features=(Feature("n", "number"),),
    compute=lambda columns: {"n": columns["n"]}, output=Output("n", "regressor", ("a", "b")),
)
""",
    "things/declared.py": """from penstock.declare.model import GateRule, Model
from penstock.declare.table import ReplicatedTable
from things.contracts import CONTRACT

TABLES = (ReplicatedTable("shops", "SELECT 1", ()), ReplicatedTable("prices", "SELECT 1", ("item",), cron="never"))
GATE = GateRule("roc_auc", 0.5, margin=-1.0)
UNRELATED = TABLES[0].nothing_of_the_kind
""",
}


def test_every_fault_of_all_that_files_declare_is_said_at_once(tmp_path: Path) -> None:
    project = containing(write_project(tmp_path / "shop", SEVERAL))
    for _ in range(2):  # what was declared with a fault is not taken for whole the next time
        modules = import_package(project, "things")
        assert not modules.found
        said = str(BrokenFiles(modules.broken)).splitlines()
        places = [line.partition(":")[0] for line in said]
        assert places.count("things/contracts.py, line 10") == 1
        assert places.count("things/contracts.py, line 11") >= 2
        assert places.count("things/declared.py, line 5") >= 2
        assert places.count("things/declared.py, line 6") == 1
        assert "nothing_of_the_kind" not in "".join(said)
        assert "things.contracts" not in sys.modules
