"""A dbt project beside this one: the tables that it makes, by its manifest. dbt itself is not needed to read it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from penstock.contract.declaring import DeclarationType, nearest
from penstock.declare.table import ReplicatedTable
from penstock.errors import PenstockError

DBT = "dbt/"
"""How what dbt makes is called in `after` and `reads`: this and its asset in Dagster, such as `dbt/marts/customers`."""


@dataclass(frozen=True)
class DbtTable:
    """A model, seed, snapshot or source of a dbt project. `asset` is how dagster-dbt calls it in Dagster."""

    id: str
    name: str
    asset: tuple[str, ...]
    relation: str
    description: str
    columns: Mapping[str, str]
    before: tuple[str, ...]

    @property
    def step(self) -> str:
        """How it is called in `after` and `reads`."""
        return DBT + "/".join(self.asset)


@dataclass(frozen=True)
class DbtProject(metaclass=DeclarationType):
    """What a dbt project makes in the same warehouse, declared as `DBT` in a file of `assets/`.

    - `manifest`: the path of its `target/manifest.json`, which `dbt parse` and every other command of dbt writes.
    - `run`: whether its models are run by Dagster here, each by `dbt build` with its tests. It needs `penstock[dbt]`.
      Without it others run them; Dagster shows them by the keys of dagster-dbt, so that a code location which runs them
      is joined to this one.

    Example: `DBT = DbtProject(Path(__file__).parents[1] / "dbt/target/manifest.json")`.
    """

    manifest: Path
    run: bool = field(default=False)

    def table(self, model: str, key: tuple[str, ...], **more: Any) -> ReplicatedTable:
        """The declaration of a replicated table with all rows of a dbt model, called as the model.

        - Its descriptions are those of dbt, also of its columns; it waits for the model.
        - `more`: further fields of ReplicatedTable.
        """
        found = self.named(model)
        given: dict[str, Any] = {
            "name": model,
            "query": f"SELECT * FROM {found.relation}",
            "description": found.description,
            "columns": found.columns,
            "after": (found.step,),
        }
        return ReplicatedTable(key=key, **(given | more))

    def named(self, name: str) -> DbtTable:
        """The model of that name; PenstockError naming one that is near."""
        found = [one for one in self.tables.values() if one.name == name and not one.id.startswith("source.")]
        if len(found) != 1:
            names = [one.name for one in self.tables.values() if not one.id.startswith("source.")]
            raise PenstockError(
                f"dbt model {name!r}",
                expected=f"one of {self.manifest}",
                found="none of that name" if not found else f"{len(found)}: {', '.join(one.id for one in found)}",
                todo=nearest(name, names),
            )
        return found[0]

    @cached_property
    def tables(self) -> Mapping[str, DbtTable]:
        """All that the project has, by dbt's unique id; PenstockError where the file is no manifest."""
        try:
            found = msgspec.json.decode(self.manifest.read_bytes(), type=_Manifest)
        except (OSError, msgspec.MsgspecError) as error:
            raise PenstockError(
                f"manifest of dbt at {self.manifest}",
                expected="the file that `dbt parse` writes",
                found="none" if isinstance(error, FileNotFoundError) else str(error),
                todo="Run `dbt parse` in the dbt project, or correct the path.",
            ) from None
        nodes = [node for node in found.nodes.values() if node.resource_type in ("model", "seed", "snapshot")]
        kept = {node.unique_id: node for node in (*nodes, *found.sources.values()) if node.relation_name}
        return {name: _table(node, kept) for name, node in kept.items()}

    def upstream(self, steps: Iterable[str]) -> list[DbtTable]:
        """Those that are called so in `after` or `reads`, and all that they are made from; in the manifest's order."""
        wanted, waiting = set[str](), [one.id for one in self.tables.values() if one.step in set(steps)]
        while waiting:
            name = waiting.pop()
            if name not in wanted:
                wanted.add(name)
                waiting += self.tables[name].before
        return [one for name, one in self.tables.items() if name in wanted]


class _Node(msgspec.Struct):
    """What is read of a node of the manifest: https://schemas.getdbt.com/dbt/manifest/v12.json."""

    unique_id: str
    resource_type: str
    name: str
    relation_name: str | None = None
    description: str = ""
    alias: str = ""
    version: str | float | None = None
    source_name: str = ""
    columns: dict[str, Any] = {}
    config: dict[str, Any] = {}
    meta: dict[str, Any] = {}
    depends_on: dict[str, list[str]] = {}


class _Manifest(msgspec.Struct):
    nodes: dict[str, _Node]
    sources: dict[str, _Node]


def _table(node: _Node, kept: Mapping[str, _Node]) -> DbtTable:
    described = {name: str(column.get("description") or "") for name, column in node.columns.items()}
    return DbtTable(
        id=node.unique_id,
        name=node.name,
        asset=_asset(node),
        relation=node.relation_name or "",
        description=node.description,
        columns={name: text for name, text in described.items() if text},
        before=tuple(name for name in node.depends_on.get("nodes", ()) if name in kept),
    )


def _asset(node: _Node) -> tuple[str, ...]:
    """As `dagster_dbt.asset_utils.default_asset_key_fn` names it."""
    own = (node.config.get("meta") or node.meta).get("dagster", {}).get("asset_key")
    if own:
        return tuple(own)
    if node.resource_type == "source":
        return (node.source_name, node.name)
    if node.version:
        return (node.alias,)
    schema = node.config.get("schema")
    return (schema, node.name) if schema else (node.name,)
