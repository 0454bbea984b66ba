"""Every slip in a declaration ends in a sentence that says what, and what to do: none in a traceback."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.checkout import ROOT
from tests.engine.declare.churn_project import write_churn
from tests.engine.declare.slips import SLIPS as MODEL_SLIPS
from tests.engine.declare.slips import Slip
from tests.engine.declare.table_slips import TABLE_SLIPS

Output = Mapping[str, tuple[int, str]]
SLIPS = MODEL_SLIPS + TABLE_SLIPS


def run_in_each(projects: list[Path]) -> Output:
    """Project -> exit code and output of `penstock train churn --dry-run` there."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PENSTOCK_", "DAGSTER_"))}
    command = [sys.executable, "-m", "tests.engine.declare.run_in_each", *map(str, projects)]
    done = subprocess.run(command, cwd=ROOT, env=kept, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {name: (code, said) for name, (code, said) in json.loads(done.stdout).items()}


def outputs_of(changes: Mapping[str, tuple[str, str]], folder: Path) -> Output:
    """What the command says of the project with each change, by the change's name."""
    projects = {
        name: write_churn(folder / f"change_{number}", change) for number, (name, change) in enumerate(changes.items())
    }
    found = run_in_each(list(projects.values()))
    return {name: found[str(project)] for name, project in projects.items()}


@pytest.fixture(scope="module")
def outputs(slow: None, tmp_path_factory: pytest.TempPathFactory) -> Output:
    """By the slip's name."""
    return outputs_of({slip.name: (slip.old, slip.new) for slip in SLIPS}, tmp_path_factory.mktemp("slips"))


@pytest.fixture(scope="module")
def accepted(slow: None, tmp_path_factory: pytest.TempPathFactory) -> Output:
    """By what is odd about the project, though it is no fault."""
    preparations = 'PREPARATIONS = (Preparation("days", "CREATE TABLE prepared.days AS SELECT 1", reads=("orders",)),)'
    changes = {
        "nothing": ("", ""),
        "an unused column": ("asked_at, churned FROM", "asked_at, churned, weight FROM"),
        "a preparation for nobody": ("PREPARATIONS = ()", preparations),
    }
    return outputs_of(changes, tmp_path_factory.mktemp("accepted"))


def test_there_are_enough_slips_and_each_has_a_name_of_its_own() -> None:
    assert len({slip.name for slip in SLIPS}) == len(SLIPS) >= 40


def test_the_project_without_a_slip_has_no_fault(accepted: Output) -> None:
    code, said = accepted["nothing"]
    assert code == 0, said
    assert "Would train churn" in said
    assert "lookup product: 100% of them have product.price" in said
    assert "720 held-out rows to judge by" in said
    assert "fitted DummyClassifier to these rows: not packed, scikit-learn would predict in the replicas" in said


@pytest.mark.parametrize("slip", SLIPS, ids=[slip.name for slip in SLIPS])
def test_a_slip_is_said_in_a_sentence(outputs: Output, slip: Slip) -> None:
    code, said = outputs[slip.name]
    assert code == 1, said
    assert "Traceback" not in said
    assert ".log says where" not in said, "nobody foresaw it"
    assert slip.said
    for words in slip.said:
        assert words in said, said


def test_a_column_that_nothing_uses_is_said(accepted: Output) -> None:
    code, said = accepted["an unused column"]
    assert code == 0, said
    assert "column 'weight' of the query is used by nothing" in said


def test_a_preparation_that_no_table_waits_for_is_said(accepted: Output) -> None:
    code, said = accepted["a preparation for nobody"]
    assert code == 0, said
    assert "preparation 'days' is never run: 'prepared/days' is in no table's `after`" in said
