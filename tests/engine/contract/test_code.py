"""The code of the features: all that they reach in the project counts for the contract, and nothing else."""

import ast
import hashlib
import importlib
import json
import linecache
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.contract.code import code_of
from penstock.contract.normal_form import normal_form

MODEL = '''
"""The features."""
import msgspec
import numpy as np
import warnings

import beside
import features_of.units as units
from features_of import helpers, unused
from features_of.helpers import *
from penstock.contract.contract import Feature
from . import deep

FEATURES = (Feature("size", "number", "metres"),)
WEIGHTS = {"a": 1}
WEIGHTS["b"] = 2
WEIGHTS.update(c=3)
SPARE = 7

try:
    from features_of.fast import quick
except ImportError:
    def quick(x):
        return x


def scaled(x: float) -> float:
    """A docstring."""
    return x * units.METRE


def features(columns):
    """Of what."""
    from features_of.late import bound

    made = [scaled(columns["size"]) * helpers.FACTOR * WEIGHTS["a"] + deep.inner.constant.VALUE]
    return {feature.name: bound(starred(quick(beside.shift(made)))) for feature in FEATURES}
'''
FILES = {
    "features_of/__init__.py": "",
    "features_of/model.py": MODEL,
    "features_of/units.py": "METRE = 100\nFOOT = 30\n",
    "features_of/helpers.py": "from features_of.far import FAR\nFACTOR = 2 * FAR\n\ndef starred(x):\n    return x\n",
    "features_of/far.py": "FAR = 3\nNEAR = 1\n",
    "features_of/unused.py": "X = 1\n",
    "features_of/late.py": "def bound(x):\n    return x\n",
    "features_of/deep/__init__.py": "from . import inner\n",
    "features_of/deep/inner/__init__.py": "from features_of.deep.inner import constant\n",
    "features_of/deep/inner/constant.py": "VALUE = 1\n",
    "beside.py": "class Shift:\n    by = 1\n\n    def __call__(self, x):\n        return x\n\nshift = Shift()\n",
}


@pytest.fixture
def digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """The digest of the features' code in a project of these files, with some replaced."""
    made = 0

    def of(edits: dict[str, str], compute: str = "features") -> str:
        nonlocal made
        made += 1
        root = tmp_path / str(made)
        for name, text in (FILES | edits).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        for name in [one for one in sys.modules if one.partition(".")[0] in {"features_of", "beside"}]:
            monkeypatch.delitem(sys.modules, name)
        with monkeypatch.context() as patched:
            patched.syspath_prepend(root)
            importlib.invalidate_caches()
            with np.errstate():  # one of the modules changes it
                module = importlib.import_module("features_of.model")
            forms = code_of(getattr(module, compute))
        return hashlib.sha256(json.dumps(forms, sort_keys=True).encode()).hexdigest()

    return of


def edited(name: str, old: str, new: str) -> dict[str, str]:
    assert FILES[name].count(old) >= 1
    return {name: FILES[name].replace(old, new)}


@pytest.mark.parametrize(
    "edits",
    [
        edited("features_of/model.py", "return x * units", "return x + units"),
        edited("features_of/model.py", 'WEIGHTS["b"] = 2', 'WEIGHTS["b"] = 3'),
        edited("features_of/model.py", "update(c=3)", "update(c=4)"),
        edited("features_of/model.py", "    def quick(x):\n        return x", "    def quick(x):\n        return -x"),
        edited("features_of/model.py", "SPARE = 7", 'np.seterr(all="raise")'),
        edited("features_of/model.py", "import numpy as np", "import math as np")
        | edited("features_of/model.py", "return x * units", "return np.abs(x) * units"),
        edited("features_of/units.py", "METRE = 100", "METRE = 101"),
        edited("features_of/helpers.py", "2 * FAR", "3 * FAR"),
        edited("features_of/helpers.py", "return x", "return -x"),
        edited("features_of/far.py", "FAR = 3", "FAR = 4"),
        edited("features_of/late.py", "return x", "return -x"),
        edited("features_of/deep/inner/constant.py", "VALUE = 1", "VALUE = 2"),
        edited("beside.py", "by = 1", "by = 2"),
        edited("beside.py", "return x", "return -x"),
        {"features_of/fast.py": "def quick(x):\n    return x\n"},
        edited("features_of/model.py", '"size", "number"', '"length", "number"'),
    ],
)
def test_what_the_features_reach_counts(digest: Callable[..., str], edits: dict[str, str]) -> None:
    assert digest(edits) != digest({})


@pytest.mark.parametrize(
    "edits",
    [
        edited("features_of/model.py", '"""A docstring."""', '"""Another."""'),
        edited("features_of/model.py", '"""Of what."""\n', "# nothing\n    pass\n"),
        edited("features_of/model.py", "x: float) -> float", "x)"),
        edited("features_of/model.py", "return x * units.METRE", "return (x   *\n        units.METRE)"),
        edited("features_of/model.py", "SPARE = 7", "SPARE = 8"),
        edited("features_of/model.py", "SPARE = 7", "import os\nfrom features_of.unused import X"),
        edited("features_of/model.py", "SPARE = 7", "print(SPARE := 9)"),
        edited("features_of/model.py", ', "metres"', ', "feet"'),
        edited("features_of/model.py", ', "metres"', ""),
        edited("features_of/model.py", ', "metres"', ', meaning="feet"'),
        edited("features_of/model.py", "import warnings\n", ""),
        edited("features_of/model.py", "SPARE = 7", 'if __name__ == "__main__":\n    print(features({}))'),
        edited("features_of/units.py", "FOOT = 30", "FOOT = 31"),
        edited("features_of/far.py", "NEAR = 1", "NEAR = 2"),
        edited("features_of/unused.py", "X = 1", "X = 2"),
    ],
)
def test_what_they_do_not_reach_and_what_only_describes_does_not_count(
    digest: Callable[..., str], edits: dict[str, str]
) -> None:
    assert digest(edits) == digest({})


@pytest.mark.parametrize(
    "made",
    [
        "features = lambda columns: scale(columns)",
        "def make(by):\n    def inner(x):\n        return scale(x, by)\n    return inner\n\nfeatures = make(3)",
        "import functools\n\nfeatures = functools.partial(scale, by=3)",
        "class Made:\n    def __call__(self, columns):\n        return scale(columns)\n\nfeatures = Made()",
        "import importlib\n\ndef features(columns):\n    return importlib.import_module('features_of.units').METRE",
        "def features(columns):\n    return getattr(units, 'METRE')",
    ],
)
def test_features_made_in_other_ways_count_with_what_they_reach(digest: Callable[..., str], made: str) -> None:
    text = f"import features_of.units as units\n\ndef scale(x, by=1):\n    return x * by * units.METRE\n\n\n{made}\n"
    same = digest({"features_of/model.py": text})
    assert digest({"features_of/model.py": text}) == same
    assert digest({"features_of/model.py": text} | edited("features_of/units.py", "METRE = 100", "METRE = 9")) != same


def test_of_a_script_all_counts_and_of_the_engine_the_name(tmp_path: Path) -> None:
    found = []
    for by in (2, 2, 3):
        (tmp_path / "script.py").write_text(f"BY = {by}\n\n\ndef features(columns):\n    return BY\n")
        made = runpy.run_path(str(tmp_path / "script.py"), run_name="nowhere")
        linecache.checkcache()
        found.append(code_of(made["features"]))
    assert found[0] == found[1] != found[2]
    assert code_of(normal_form) == {"": ["penstock.contract.normal_form.normal_form"]}


def test_the_normal_form_is_the_same_in_every_python() -> None:
    """Computed with 3.11, 3.12, 3.13 and 3.14. It may never change: contracts are known by it."""
    text = (Path(__file__).parent / "syntax.txt").read_text(encoding="utf-8")
    form: Any = normal_form(ast.parse(text))
    known = "db87fd3e87c50b8857605cfa70e941c06d6013ea911cf2df4dd0472a99533625"
    assert hashlib.sha256(json.dumps(form).encode()).hexdigest() == known
