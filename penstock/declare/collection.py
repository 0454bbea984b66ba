"""What the modules of a project declare, collected by name, and what of it is declared twice or is something else."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from penstock.contract.declaring import shown
from penstock.declare.dbt import DbtProject
from penstock.declare.faults import names_in_dagster
from penstock.declare.model import Model
from penstock.declare.preparation import Preparation
from penstock.declare.table import ReplicatedTable
from penstock.errors import PenstockError


class Collection:
    """Sources, preparations, tables and models by name, and the faults of collecting them."""

    def __init__(self) -> None:
        self.sources: dict[str, str] = {}
        self.preparations: dict[str, Preparation] = {}
        self.tables: dict[str, ReplicatedTable] = {}
        self.models: dict[str, Model] = {}
        self.dbt: list[DbtProject] = []
        self.faults: list[PenstockError] = []

    def take(self, module: ModuleType) -> None:
        """Add what a module declares as MODEL, TABLES, PREPARATIONS, SOURCES or DBT."""
        file = module.__name__.replace(".", "/") + ".py"
        declared = vars(module)
        sources = declared.get("SOURCES", {})
        if isinstance(sources, Mapping) and all(isinstance(one, str) for pair in sources.items() for one in pair):
            self.sources |= sources
        else:
            self._refuse(file, "SOURCES", "a dict of table to description", sources)
        self._add_all(file, "PREPARATIONS", Preparation, declared, self.preparations)
        self._add_all(file, "TABLES", ReplicatedTable, declared, self.tables)
        if isinstance(project := declared.get("DBT"), DbtProject):
            self.dbt += [project] if project not in self.dbt else []
        elif project is not None:
            self._refuse(file, "DBT", "a DbtProject", project)
        if "MODEL" in declared:
            model = declared["MODEL"]
            if isinstance(model, Model):
                self._add(file, model.contract.model, model, self.models)
            else:
                self._refuse(file, "MODEL", "one Model", model)

    def _add_all(self, file: str, name: str, kind: type, declared: Mapping[str, Any], to: dict[str, Any]) -> None:
        values = declared.get(name, ())
        if not isinstance(values, tuple | list) or not all(isinstance(value, kind) for value in values):
            return self._refuse(file, name, f"a tuple of {kind.__name__}, such as ({kind.__name__}(...),)", values)
        for value in values:
            if isinstance(value, ReplicatedTable):
                self.faults += names_in_dagster(f"table {value.name!r}", value.name)
            self._add(file, value.name, value, to)
        return None

    def _add(self, file: str, name: str, value: Any, to: dict[str, Any]) -> None:
        kind = type(value).__name__
        if name in to and to[name] is not value:
            todo = "Declare it once; any model may name it."
            self.faults.append(
                PenstockError(f"{kind} {name!r}", expected="one", found=f"a second in {file}", todo=todo)
            )
        to[name] = value

    def _refuse(self, file: str, name: str, expected: str, found: Any) -> None:
        self.faults.append(PenstockError(f"{name} in {file}", expected=expected, found=shown(found)))


@contextmanager
def noted(faults: list[PenstockError]) -> Iterator[None]:
    """Note a fault, and go on after it."""
    try:
        yield
    except PenstockError as error:
        faults.append(error)
