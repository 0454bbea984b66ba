"""Whether what a model names is declared and fits, and what of a project nothing names."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from penstock.contract.contract import Lookup
from penstock.contract.declaring import nearest
from penstock.declare.faults import caught
from penstock.declare.preparation import PREPARED, in_order
from penstock.declare.reads import unread
from penstock.declare.table import ReplicatedTable
from penstock.errors import PenstockError

if TYPE_CHECKING:
    from penstock.declare.project import Declarations


def connection_faults(found: "Declarations", model: str) -> list[PenstockError]:
    """What a model's lookups and their tables name and the project does not declare, or declares otherwise."""
    declared = found.models[model]
    faults = _prepared_faults(found, f"reads of model {model!r}", declared.read_steps)
    for lookup in declared.contract.lookups:
        thing = f"lookup {lookup.name!r} of model {model!r}"
        table = found.tables.get(lookup.table)
        if table is not None:
            faults += _fit(thing, lookup, table) + preparation_faults(found, table)
        elif not found.broken:
            of, expected = f"table of {thing}", "a replicated table that is declared"
            faults.append(
                PenstockError(of, expected=expected, found=repr(lookup.table), todo=nearest(lookup.table, found.tables))
            )
    return faults


def preparation_faults(found: "Declarations", table: ReplicatedTable) -> list[PenstockError]:
    """The preparations that a table waits for and nobody declares, and those that read such, or each other."""
    return _prepared_faults(found, f"after of table {table.name!r}", table.after)


def _prepared_faults(found: "Declarations", of: str, steps: Sequence[str]) -> list[PenstockError]:
    named = [step.removeprefix(PREPARED) for step in steps if step.startswith(PREPARED)]
    faults = [
        PenstockError(
            of,
            expected="a preparation that is declared",
            found=repr(PREPARED + name),
            todo=nearest(name, found.preparations),
        )
        for name in named
        if name not in found.preparations and not found.broken
    ]
    return faults if faults or found.broken else caught(in_order, named, found.preparations)


def dbt_faults(found: "Declarations") -> list[PenstockError]:
    """What tables wait for or preparations read, and no dbt project makes."""
    made = [one.step for project in found.dbt for one in project.tables.values()]
    return [
        PenstockError(
            "what is read of dbt", expected="an asset of a manifest", found=repr(step), todo=nearest(step, made)
        )
        for step in found.steps_of_dbt()
        if step not in made and not found.broken
    ]


def unused(found: "Declarations") -> list[str]:
    """What is declared and nothing names, and what is named and nothing reads, one sentence each."""
    waited_for = {step for table in found.tables.values() for step in table.after}
    waited_for |= {step for preparation in found.preparations.values() for step in preparation.reads}
    waited_for |= {step for model in found.models.values() for step in model.read_steps}
    looked_up = {lookup.table for model in found.models.values() for lookup in model.contract.lookups}
    said = [
        f"preparation {name!r} is never run: {PREPARED + name!r} is in no table's `after` and in no model's `reads`"
        for name in found.preparations
        if PREPARED + name not in waited_for
    ]
    said += [f"table {name!r} is looked up by no model" for name in found.tables if name not in looked_up]
    return said + unread(found)


def _fit(thing: str, lookup: Lookup, table: ReplicatedTable) -> list[PenstockError]:
    faults: list[PenstockError] = []
    joined = {*lookup.key, *([lookup.as_of[0]] if lookup.as_of else [])}
    further = [repr(column) for column in table.key if column not in joined]
    if further:
        todo = (
            "Add it to the lookup's `key`, declare `as_of` where it is a time, or look up in a table with one row each."
        )
        faults.append(
            PenstockError(
                thing,
                expected=f"one row of {table.name!r} per {' and '.join(lookup.key)}",
                found=f"{' and '.join(further)} in the table's key too: several rows may fit",
                todo=todo,
            )
        )
    if table.shape is not None and table.shape.strict:
        columns = table.shape.columns
        wanted = dict.fromkeys([*joined, *(column.name for column in lookup.columns)])
        faults += [
            PenstockError(thing, expected=f"a column of {table.name!r}", found=repr(name), todo=nearest(name, columns))
            for name in wanted
            if name not in columns
        ]
    return faults
