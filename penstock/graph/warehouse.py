"""The raw tables of the warehouse, and the tables that are prepared inside it."""

from collections.abc import Iterable, Iterator

import dagster as dg

from penstock.declare.preparation import Preparation
from penstock.declare.steps import asset_path, raw_path
from penstock.extract.preparing import ColumnTest, PreparationError, prepare
from penstock.graph.environment import Environment
from penstock.graph.faults import faults
from penstock.graph.pools import WAREHOUSE


def source(name: str, description: str) -> dg.AssetSpec:
    """A raw table that others fill."""
    return dg.AssetSpec(raw_path(name), group_name="warehouse", description=description, kinds={"table"})


def prepared(preparation: Preparation) -> dg.AssetsDefinition:
    """The asset that runs the preparation's SQL inside the warehouse, with its tests as checks."""
    key = dg.AssetKey(["prepared", preparation.name])
    sql = (preparation.query or preparation.script).strip()
    before = [["prepared", name] for name in preparation.prepared_before]

    @dg.asset(
        key=key,
        deps=[*map(raw_path, preparation.raw), *map(asset_path, preparation.of_dbt), *before],
        group_name="warehouse",
        description=f"{preparation.description}\n\n```sql\n{sql}\n```",
        owners=[preparation.owner] if preparation.owner else None,
        kinds={"sql", "duckdb"},
        check_specs=[dg.AssetCheckSpec(name, asset=key, blocking=True) for name in preparation.tests],
        pool=WAREHOUSE,
    )
    def run(environment: Environment) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        with faults():
            try:
                result = prepare(environment.runtime.warehouse, preparation)
            except PreparationError as error:
                yield from _checks(key, error.tests)
                raise
        yield dg.MaterializeResult(
            metadata={
                "dagster/row_count": result.rows,
                "run": "skipped: nothing that it reads has changed" if result.skipped else "prepared",
            },
            check_results=list(_checks(key, result.tests)),
        )

    return run


def _checks(key: dg.AssetKey, tests: Iterable[ColumnTest]) -> Iterator[dg.AssetCheckResult]:
    for test in tests:
        yield dg.AssetCheckResult(
            passed=test.passed, check_name=test.name, asset_key=key, metadata={"found": test.found}
        )
