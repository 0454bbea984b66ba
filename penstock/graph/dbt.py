"""What dbt makes, in Dagster's graph: shown, or run by dagster-dbt where that is asked for."""

import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg

from penstock.declare.dbt import DbtProject, DbtTable
from penstock.errors import PenstockError


def of_dbt(project: DbtProject, steps: Iterable[str]) -> list[Any]:
    """The assets of what is called so in `after` or `reads`, and of all that it is made from."""
    found = project.upstream(steps)
    if not found or not project.run:
        return [_shown(project, one) for one in found]
    sources = [_shown(project, one) for one in found if one.id.startswith("source.")]
    return [*sources, _run(project, [one for one in found if not one.id.startswith("source.")])]


def _shown(project: DbtProject, table: DbtTable) -> dg.AssetSpec:
    return dg.AssetSpec(
        dg.AssetKey(table.asset),
        deps=[dg.AssetKey(project.tables[name].asset) for name in table.before],
        group_name="dbt",
        description=table.description or None,
        kinds={"dbt"},
        metadata={
            "dagster/column_schema": dg.TableSchema(
                [dg.TableColumn(name, "?", description) for name, description in table.columns.items()]
            )
        },
    )


def _run(project: DbtProject, tables: list[DbtTable]) -> dg.AssetsDefinition:
    try:
        dagster_dbt = import_module("dagster_dbt")
    except ModuleNotFoundError:
        raise PenstockError(
            f"dbt project of {project.manifest}",
            expected="dagster-dbt, because it declares `run=True`",
            found="not installed",
            todo="Install it: pip install 'penstock[dbt]', and the adapter of the warehouse, such as dbt-duckdb.",
        ) from None
    folder, beside = project.manifest.parents[1], Path(sys.executable).parent / "dbt"
    program = str(beside) if beside.exists() else "dbt"
    selected = " ".join(f"{one.id.partition('.')[2]}" for one in tables)

    def build(context: dg.AssetExecutionContext) -> Iterator[Any]:
        dbt = dagster_dbt.DbtCliResource(project_dir=str(folder), profiles_dir=str(folder), dbt_executable=program)
        yield from dbt.cli(["build"], context=context).stream()

    made: dg.AssetsDefinition = dagster_dbt.dbt_assets(
        manifest=project.manifest, select=selected, name=f"dbt_{folder.name}"
    )(build)
    return made
