"""The raw tables of the warehouse, and the tables that are prepared inside it."""

from collections.abc import Iterator

import dagster as dg

from penstock.declare.preparation import Preparation
from penstock.graph.environment import Environment
from penstock.graph.faults import faults

POOL = "warehouse"


def source(name: str, description: str) -> dg.AssetSpec:
    """A raw table that others fill."""
    return dg.AssetSpec(["warehouse", name], group_name="warehouse", description=description, kinds={"table"})


def prepared(preparation: Preparation) -> dg.AssetsDefinition:
    """The asset that runs the preparation's SQL inside the warehouse."""

    @dg.asset(
        key=["prepared", preparation.name],
        deps=[["warehouse", name] for name in preparation.reads],
        group_name="warehouse",
        description=f"{preparation.description}\n\n```sql\n{preparation.script.strip()}\n```",
        owners=[preparation.owner] if preparation.owner else None,
        kinds={"sql", "duckdb"},
        pool=POOL,
    )
    def prepare(environment: Environment) -> Iterator[dg.MaterializeResult[None]]:
        with faults():
            warehouse = environment.runtime.warehouse
            warehouse.prepare(preparation.script)
            with warehouse.batches(f"SELECT count(*) AS n FROM prepared.{preparation.name}") as batches:
                rows = batches.read_all().column("n")[0].as_py()
        yield dg.MaterializeResult(metadata={"dagster/row_count": rows})

    return prepare
