"""Everything that a project declares, by name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from penstock.declare.connections import connection_faults, dbt_faults
from penstock.declare.dbt import DBT, DbtProject
from penstock.declare.faults import caught
from penstock.declare.model import Model
from penstock.declare.preparation import PREPARED, Preparation, in_order
from penstock.declare.table import ReplicatedTable
from penstock.errors import PenstockError, demand_none
from penstock.importing import BrokenFile, BrokenFiles


@dataclass(frozen=True)
class Declarations:
    """Raw tables with their descriptions, preparations, replicated tables and models, by name.

    - `broken`: files that do not import, contracts among them, and so may declare more.
    - `faults`: what the files that import declare twice, or as something else than it is.
    """

    sources: Mapping[str, str] = field(default_factory=dict)
    preparations: Mapping[str, Preparation] = field(default_factory=dict)
    tables: Mapping[str, ReplicatedTable] = field(default_factory=dict)
    models: Mapping[str, Model] = field(default_factory=dict)
    broken: tuple[BrokenFile, ...] = ()
    faults: tuple[PenstockError, ...] = ()
    dbt: tuple[DbtProject, ...] = ()

    def whole(self) -> Self:
        """The same; BrokenFiles where a file does not import, for whoever needs everything."""
        if self.broken:
            raise BrokenFiles(self.broken)
        circles = caught(in_order, self.preparations, self.preparations) if not self.faults else []
        faults = [
            *self.faults,
            *dbt_faults(self),
            *(fault for name in self.models for fault in connection_faults(self, name)),
        ]
        demand_none(list({str(fault): fault for fault in (*faults, *circles)}.values()))
        return self

    def checked(self, name: str) -> Model:
        """The model of that name, where what it names is declared and fits; every fault at once."""
        demand_none(self.faults)
        demand_none(caught(in_order, self.preparations, self.preparations) if not self.broken else [])
        found = self.model(name)
        demand_none(connection_faults(self, name))
        return found

    def model(self, name: str) -> Model:
        """The model of that name; PenstockError naming those that exist, BrokenFiles where one may declare it."""
        if name not in self.models:
            raise self._unknown("model", name, self.models)
        return self.models[name]

    def table(self, name: str) -> ReplicatedTable:
        """The replicated table of that name; PenstockError naming those that exist, BrokenFiles where one may."""
        if name not in self.tables:
            raise self._unknown("table", name, self.tables)
        return self.tables[name]

    def _unknown(self, kind: str, name: str, known: Mapping[str, object]) -> PenstockError:
        if self.broken:
            return BrokenFiles(self.broken)
        return PenstockError(kind, expected=f"one of {', '.join(known) or '(none yet)'}", found=repr(name))

    def steps_of_dbt(self) -> list[str]:
        """What tables wait for, and preparations and models read, that dbt makes, as `dbt/<asset>`."""
        named = [step for table in self.tables.values() for step in table.after if step.startswith(DBT)]
        named += [step for preparation in self.preparations.values() for step in preparation.of_dbt]
        named += [step for model in self.models.values() for step in model.read_steps if step.startswith(DBT)]
        return list(dict.fromkeys(named))

    def groups(self) -> list[tuple[ReplicatedTable, ...]]:
        """The replicated tables in groups that become current together. A table without a group is alone in one."""
        found: dict[tuple[str, str], tuple[ReplicatedTable, ...]] = {}
        for table in self.tables.values():
            place = (table.group, "" if table.group else table.name)
            found[place] = (*found.get(place, ()), table)
        return list(found.values())

    def preparations_for(self, table: ReplicatedTable) -> list[Preparation]:
        """The preparations that must run before the table can be extracted, each after those that it reads."""
        return self.preparations_of([table])

    def preparations_of(self, tables: Iterable[ReplicatedTable], model: Model | None = None) -> list[Preparation]:
        """The preparations that must run before these tables, and the rows of a model, can be extracted.

        Each once, after those that it reads.
        """
        steps = [*(step for table in tables for step in table.after), *(model.read_steps if model else ())]
        waited_for = [step for step in steps if step.startswith(PREPARED)]
        return in_order([step.removeprefix(PREPARED) for step in waited_for], self.preparations)

    def tables_for(self, model: Model) -> list[ReplicatedTable]:
        """The replicated tables that the model's lookups need."""
        return [self.table(name) for name in sorted({lookup.table for lookup in model.contract.lookups})]
