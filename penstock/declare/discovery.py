"""All that the declaration files of this folder declare, found by convention and without Dagster."""

import importlib
import pkgutil
from functools import cache

import assets
from penstock.declare.model import Model
from penstock.declare.preparation import Preparation
from penstock.declare.project import Declared
from penstock.declare.table import ReplicatedTable

MACHINERY = frozenset({"declarations", "definitions"})


@cache
def declared() -> Declared:
    """Every module of this folder that declares MODEL, TABLES, PREPARATIONS or SOURCES."""
    sources: dict[str, str] = {}
    preparations: dict[str, Preparation] = {}
    tables: dict[str, ReplicatedTable] = {}
    models: dict[str, Model] = {}
    for found in sorted(pkgutil.iter_modules(assets.__path__), key=lambda m: m.name):
        if found.ispkg or found.name in MACHINERY:
            continue
        module = importlib.import_module(f"assets.{found.name}")
        sources |= getattr(module, "SOURCES", {})
        preparations |= {p.name: p for p in getattr(module, "PREPARATIONS", ())}
        tables |= {t.name: t for t in getattr(module, "TABLES", ())}
        model = getattr(module, "MODEL", None)
        if isinstance(model, Model):
            models[model.contract.model] = model
    return Declared(sources, preparations, tables, models)
