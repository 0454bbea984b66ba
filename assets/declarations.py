"""All that the declaration files of this folder declare, found by convention and without Dagster."""

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import assets
from model_tools.errors import PenstockError
from resources.model import Model
from resources.preparation import Preparation
from resources.table import ReplicatedTable

MACHINERY = frozenset({"declarations", "definitions"})


@dataclass(frozen=True)
class Declared:
    """Declarations by name; `tables_of` and `preparations_of` give those that came with a model."""

    sources: Mapping[str, str] = field(default_factory=dict)
    preparations: Mapping[str, Preparation] = field(default_factory=dict)
    tables: Mapping[str, ReplicatedTable] = field(default_factory=dict)
    models: Mapping[str, Model] = field(default_factory=dict)

    def model(self, name: str) -> Model:
        """The model of that name; PenstockError naming those that exist."""
        if name not in self.models:
            raise PenstockError("model", expected=f"one of {', '.join(self.models)}", found=repr(name))
        return self.models[name]

    def table(self, name: str) -> ReplicatedTable:
        """The replicated table of that name; PenstockError naming those that exist."""
        if name not in self.tables:
            raise PenstockError("table", expected=f"one of {', '.join(self.tables)}", found=repr(name))
        return self.tables[name]

    def preparations_for(self, table: ReplicatedTable) -> list[Preparation]:
        """What has to be prepared in the warehouse before the table can be extracted."""
        return [self.preparations[key.split("/")[1]] for key in table.after if key.startswith("prepared/")]


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
