"""Finds all that a project declares, by convention and without Dagster."""

from contextlib import suppress
from dataclasses import replace
from functools import cache

from penstock.contract.registry import read_contracts
from penstock.declare.collection import Collection, noted
from penstock.declare.preparation import PREPARED, in_order
from penstock.declare.project import Declarations
from penstock.errors import PenstockError
from penstock.importing import import_package
from penstock.project import CONTRACTS, DECLARATIONS, DEFINITIONS, Project, find


def declared(project: Project | None = None) -> Declarations:
    """What every module of a project that declares MODEL, TABLES, PREPARATIONS, SOURCES or DBT says.

    The project is this process's own where none is given; ProjectError where there is none.
    """
    return _declared(project or find())


@cache
def _declared(project: Project) -> Declarations:
    modules, contracts = import_package(project, DECLARATIONS, leave_out=DEFINITIONS), read_contracts(project)
    found = Collection()
    for module in modules.found:
        found.take(module)
    lookups = [lookup for contract in contracts.by_model.values() for lookup in contract.lookups]
    for name, table in found.tables.items():
        with suppress(PenstockError):  # `connection_faults` says what nobody declares, and what reads itself
            waited_for = [step.removeprefix(PREPARED) for step in table.after if step.startswith(PREPARED)]
            before = in_order(waited_for, found.preparations)
            after = dict.fromkeys([*table.after, *(PREPARED + one.name for one in before)])
            table = replace(table, after=tuple(after))  # noqa: PLW2901
        own = [lookup for lookup in lookups if lookup.table == name and lookup not in table.lookups]
        with noted(found.faults):
            found.tables[name] = replace(table, lookups=(*table.lookups, *own))
    for model in found.models.values():
        served = contracts.by_model.get(model.contract.model)
        if served is not model.contract and not contracts.broken:
            found.faults.append(
                PenstockError(
                    f"contract of model {model.contract.model!r}",
                    expected=f"CONTRACT of a file in {CONTRACTS}/, which the service reads",
                    found="another contract of this name" if served else "none of this name there",
                    todo=f"Write `CONTRACT = Contract(...)` in {CONTRACTS}/, and import it.",
                )
            )
    broken = modules.broken + contracts.broken
    return Declarations(
        found.sources, found.preparations, found.tables, found.models, broken, tuple(found.faults), tuple(found.dbt)
    )
