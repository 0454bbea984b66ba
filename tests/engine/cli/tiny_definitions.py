"""A code location as small as can be, to try Dagster's processes on."""

from collections.abc import Iterator

import dagster as dg

months = dg.MonthlyPartitionsDefinition(start_date="2026-01-01", end_date="2026-04-01")


@dg.asset(partitions_def=months)
def monthly(context: dg.AssetExecutionContext) -> None:
    context.add_output_metadata({"month": context.partition_key})


@dg.asset
def broken() -> None:
    raise ValueError("the river is dry")


@dg.asset(check_specs=[dg.AssetCheckSpec("deep", asset="calm")])
def calm() -> Iterator[dg.MaterializeResult[None]]:
    yield dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True, check_name="deep")])


defs = dg.Definitions(
    assets=[monthly, broken, calm],
    jobs=[
        dg.define_asset_job("good", [monthly], partitions_def=months),
        dg.define_asset_job("bad", [broken]),
        dg.define_asset_job("several", [broken, calm]),
    ],
    executor=dg.in_process_executor,
)
