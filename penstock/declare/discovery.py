"""Finds all that a project declares, by convention and without Dagster."""

from functools import cache

from penstock.contract.registry import read_contracts
from penstock.declare.model import Model
from penstock.declare.preparation import Preparation
from penstock.declare.project import Declarations
from penstock.declare.table import ReplicatedTable
from penstock.importing import import_package
from penstock.project import DECLARATIONS, DEFINITIONS, Project, find


def declared(project: Project | None = None) -> Declarations:
    """What every module of a project that declares MODEL, TABLES, PREPARATIONS or SOURCES says.

    The project is this process's own where none is given; ProjectError where there is none.
    """
    return _declared(project or find())


@cache
def _declared(project: Project) -> Declarations:
    sources: dict[str, str] = {}
    preparations: dict[str, Preparation] = {}
    tables: dict[str, ReplicatedTable] = {}
    models: dict[str, Model] = {}
    modules = import_package(project, DECLARATIONS, leave_out=DEFINITIONS)
    for module in modules.found:
        sources |= getattr(module, "SOURCES", {})
        preparations |= {p.name: p for p in getattr(module, "PREPARATIONS", ())}
        tables |= {t.name: t for t in getattr(module, "TABLES", ())}
        model = getattr(module, "MODEL", None)
        if isinstance(model, Model):
            models[model.contract.model] = model
    return Declarations(sources, preparations, tables, models, modules.broken + read_contracts(project).broken)
