"""A replicated table as assets: its snapshot, and its publication in TEST and then in PROD."""

import time
from collections.abc import Iterator
from itertools import pairwise

import dagster as dg

from assets.factories.environment import Environment
from assets.factories.evidence import failing_rows, image, past_numbers, publication_evidence, snapshot_evidence
from assets.factories.faults import faults
from assets.factories.standing_checks import without_standing_checks
from assets.factories.warehouse import POOL
from model_tools.errors import PenstockError
from resources.extract import extract
from resources.publish import publish
from resources.table import ReplicatedTable
from schemas.shape import ShapeError


def snapshot(table: ReplicatedTable) -> dg.AssetsDefinition:
    """The asset that extracts the table from the warehouse and checks its shape."""
    key = dg.AssetKey(["snapshot", table.name])

    @dg.asset(
        key=key,
        deps=[source.split("/") for source in table.after],
        group_name="snapshots",
        description=f"{table.description} Extracted from the warehouse; immutable, named by its content.",
        owners=[table.owner] if table.owner else None,
        kinds={"parquet", "pandera"},
        check_specs=[dg.AssetCheckSpec("shape", asset=key, blocking=True, description="Every row has the shape.")],
        pool=POOL,
    )
    def take(environment: Environment) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        with faults():
            try:
                taken = extract(environment.settings, table)
            except ShapeError as error:
                yield dg.AssetCheckResult(passed=False, check_name="shape", asset_key=key, metadata=failing_rows(error))
                raise dg.Failure(str(error), metadata=failing_rows(error), allow_retries=False) from error
        yield dg.MaterializeResult(
            metadata=snapshot_evidence(taken, table.shape),
            data_version=dg.DataVersion(taken.id),
            check_results=[dg.AssetCheckResult(passed=True, check_name="shape", metadata={"rows": taken.rows})],
        )

    return take


def publication(table: ReplicatedTable) -> dg.AssetsDefinition:
    """The assets that make the newest snapshot current in TEST and, once TEST has it, in PROD."""
    source, keys = ["snapshot", table.name], {book: dg.AssetKey([book, table.name]) for book in ("test", "prod")}
    specs = [
        dg.AssetSpec(
            keys[book],
            deps=[source] if book == "test" else [source, keys["test"]],
            group_name=f"{book}_book",
            description=f"{table.description} Current in {book.upper()}, equal to the snapshot to the bit.",
            owners=[table.owner] if table.owner else None,
            kinds={"postgres"},
            freshness_policy=dg.FreshnessPolicy.time_window(fail_window=table.fresh_within),
            skippable=True,
        )
        for book in keys
    ]
    checks = [
        dg.AssetCheckSpec(
            "verified", asset=key, description="What the book holds hashes to the digest of the snapshot."
        )
        for key in keys.values()
    ]

    @dg.multi_asset(name=f"publish_{table.name}", specs=specs, check_specs=checks, can_subset=True)
    def load(context: dg.AssetExecutionContext, environment: Environment) -> Iterator[dg.MaterializeResult[None]]:
        with faults():
            newest = environment.snapshots.latest(table.name)
            if newest is None:
                raise PenstockError(
                    f"table {table.name}",
                    expected="a snapshot",
                    found="none",
                    todo=f"Materialize snapshot/{table.name}.",
                )
            books, who = environment.books, f"dagster run {context.run.run_id}"
            wanted = [book for book in books if keys[book.name] in context.selected_asset_keys]
            for published in publish(newest, table, wanted, who=who, proven_in=books[0]):
                key = keys[published.book]
                yield dg.MaterializeResult(
                    asset_key=key,
                    metadata={**publication_evidence(published), "history": _history(context, key, published.rows)},
                    data_version=dg.DataVersion(published.snapshot),
                    check_results=[
                        dg.AssetCheckResult(
                            passed=True,
                            check_name="verified",
                            asset_key=key,
                            metadata={"snapshot": published.snapshot, "rows": published.rows},
                        )
                    ],
                )

    return load


def job_and_schedule(
    table: ReplicatedTable,
) -> tuple["dg.UnresolvedAssetJobDefinition", dg.ScheduleDefinition]:
    """The job that prepares, extracts and publishes the table, and its schedule, switched on."""
    keys = [dg.AssetKey([step, table.name]) for step in ("snapshot", "test", "prod")]
    keys += [dg.AssetKey(source.split("/")) for source in table.after if source.startswith("prepared/")]
    selection = without_standing_checks(dg.AssetSelection.assets(*keys), [table.name])
    job = dg.define_asset_job(f"replicate_{table.name}", selection=selection, description=table.description)
    schedule = dg.ScheduleDefinition(
        name=f"replicate_{table.name}_schedule",
        job=job,
        cron_schedule=table.cron,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    return job, schedule


def _history(context: dg.AssetExecutionContext, key: dg.AssetKey, rows: int) -> dg.MarkdownMetadataValue:
    """Rows and freshness over the last materializations and this one."""
    from training.plots import history

    counts = [*past_numbers(context, key, "dagster/row_count"), (time.time(), float(rows))]
    gaps = [(later, (later - earlier) / 3600) for (earlier, _), (later, _) in pairwise(counts)]
    return image(history(counts, gaps, table_title(key)))


def table_title(key: dg.AssetKey) -> str:
    """`table in BOOK`."""
    return f"{key.path[-1]} in {key.path[0].upper()}"
