"""Finds all that a project declares, by convention and without Dagster."""

from functools import cache

from penstock.declare.model import Model
from penstock.declare.preparation import Preparation
from penstock.declare.project import Declarations
from penstock.declare.table import ReplicatedTable
from penstock.project import declaration_modules


@cache
def declared() -> Declarations:
    """The MODEL, TABLES, PREPARATIONS and SOURCES of all declaration files."""
    sources: dict[str, str] = {}
    preparations: dict[str, Preparation] = {}
    tables: dict[str, ReplicatedTable] = {}
    models: dict[str, Model] = {}
    for module in declaration_modules():
        sources |= getattr(module, "SOURCES", {})
        preparations |= {p.name: p for p in getattr(module, "PREPARATIONS", ())}
        tables |= {t.name: t for t in getattr(module, "TABLES", ())}
        model = getattr(module, "MODEL", None)
        if isinstance(model, Model):
            models[model.contract.model] = model
    return Declarations(sources, preparations, tables, models)
