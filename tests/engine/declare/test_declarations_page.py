"""docs/declarations.md, and the docstrings, speak of every field that there is, and of none that there is not."""

import inspect
import re

import pytest

from penstock.contract.contract import Column, Contract, Feature, Lookup, Output
from penstock.declare.dbt import DbtProject
from penstock.declare.model import Bound, GateRule, Model
from penstock.declare.preparation import Preparation
from penstock.declare.table import ReplicatedTable
from tests.checkout import ROOT

DECLARATIONS = (
    Contract,
    Lookup,
    Column,
    Feature,
    Output,
    Model,
    GateRule,
    Bound,
    ReplicatedTable,
    Preparation,
    DbtProject,
)
PAGE = (ROOT / "docs" / "declarations.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \| (.+) \| `(.+)` \|$", re.MULTILINE)


def fields_of(declaration: type) -> list[str]:
    """Its fields, in the order in which they are given."""
    made = vars(declaration).get("__init__", declaration)
    return [name for name in inspect.signature(made).parameters if name != "self"]


@pytest.mark.parametrize("declaration", DECLARATIONS, ids=lambda one: one.__name__)
def test_each_field_has_a_row_with_an_example_and_stands_in_the_docstring(declaration: type) -> None:
    section = PAGE.split(f"\n## {declaration.__name__}\n")[1].split("\n## ")[0]
    rows = {name: (what, example) for name, what, example in ROW.findall(section)}
    fields = fields_of(declaration)
    assert len(fields) >= 2
    assert list(rows) == fields
    assert all(what.strip() and example.strip() for what, example in rows.values())
    said = declaration.__doc__ or ""
    assert [name for name in fields if f"`{name}`" not in said] == []
