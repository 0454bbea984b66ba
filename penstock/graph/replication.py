"""A replicated table as assets: its snapshot, and its publication in TEST and then in PROD."""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from penstock.declare.preparation import Preparation
from penstock.declare.shape import ShapeError
from penstock.declare.steps import BOOKS, REPLICATION_JOB, SHAPE, VERIFIED, asset_path, checks, steps
from penstock.declare.table import ReplicatedTable
from penstock.errors import PenstockError
from penstock.extract.extract import extract
from penstock.graph.environment import Environment
from penstock.graph.evidence import failing_rows, publication_evidence, publish_history, snapshot_evidence
from penstock.graph.faults import faults
from penstock.graph.pools import WAREHOUSE, of_table
from penstock.graph.standing_checks import without_standing_checks
from penstock.publish.publish import publish_group
from penstock.snapshots.store import Snapshot


def snapshot(table: ReplicatedTable) -> dg.AssetsDefinition:
    """The asset that extracts the table from the warehouse and checks its shape."""
    key = dg.AssetKey(["snapshot", table.name])

    @dg.asset(
        key=key,
        deps=[asset_path(source) for source in table.after],
        group_name="snapshots",
        description=f"{table.description} Extracted from the warehouse; immutable, named by its content.",
        owners=[table.owner] if table.owner else None,
        kinds={"parquet", "pandera"},
        check_specs=[dg.AssetCheckSpec(SHAPE, asset=key, blocking=True, description="Every row has the shape.")],
        pool=WAREHOUSE,
    )
    def take(environment: Environment) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        runtime = environment.runtime
        with faults():
            try:
                taken = extract(table, runtime.warehouse, runtime.snapshots, runtime.settings.now())
            except ShapeError as error:
                yield dg.AssetCheckResult(passed=False, check_name=SHAPE, asset_key=key, metadata=failing_rows(error))
                raise dg.Failure(str(error), metadata=failing_rows(error), allow_retries=False) from error
        yield dg.MaterializeResult(
            metadata=snapshot_evidence(taken, table.rows_shape, table.columns),
            data_version=dg.DataVersion(taken.id),
            check_results=[dg.AssetCheckResult(passed=True, check_name=SHAPE, metadata={"rows": taken.rows})],
        )

    return take


def publication(tables: Sequence[ReplicatedTable]) -> dg.AssetsDefinition:
    """The assets that make the newest snapshots of one table, or of a group, current in TEST and, once TEST has them,
    in PROD."""
    keys = {(book, table.name): dg.AssetKey([book, table.name]) for book in BOOKS for table in tables}
    specs = [
        dg.AssetSpec(
            keys[book, table.name],
            deps=[["snapshot", table.name], *([keys["test", table.name]] if book == "prod" else [])],
            group_name=f"{book}_book",
            description=f"{table.description} Current in {book.upper()}, equal to the snapshot to the bit.",
            owners=[table.owner] if table.owner else None,
            kinds={"postgres"},
            freshness_policy=dg.FreshnessPolicy.time_window(fail_window=table.fresh_within),
            skippable=True,
        )
        for book in BOOKS
        for table in tables
    ]
    check_specs = [
        dg.AssetCheckSpec(VERIFIED, asset=key, description="What the book holds hashes to the digest of the snapshot.")
        for key in keys.values()
    ]
    name = tables[0].group or tables[0].name

    @dg.multi_asset(name=f"publish_{name}", specs=specs, check_specs=check_specs, can_subset=True, pool=of_table(name))
    def load(context: dg.AssetExecutionContext, environment: Environment) -> Iterator[dg.MaterializeResult[None]]:
        with faults():
            pairs = [(_newest(environment, table), table) for table in tables]
            books, who = environment.books, f"dagster run {context.run.run_id}"
            selected = {place for place, key in keys.items() if key in context.selected_asset_keys}
            wanted = [book for book in books if any(place[0] == book.name for place in selected)]
            if missing := [
                place for place in keys if place[0] in {book.name for book in wanted} and place not in selected
            ]:
                raise PenstockError(
                    f"group {name!r}",
                    expected="all of its tables, which become current together",
                    found=f"a run without {', '.join('/'.join(place) for place in missing)}",
                    todo="Select them too.",
                )
            service = environment.settings.service_url
            for published in publish_group(pairs, wanted, who=who, proven_in=books.test, service=service):
                key = keys[published.book, published.table]
                evidence = publication_evidence(published, environment.settings.now())
                yield dg.MaterializeResult(
                    asset_key=key,
                    metadata={**evidence, "history": publish_history(context, key, published.rows)},
                    data_version=dg.DataVersion(published.snapshot),
                    check_results=[
                        dg.AssetCheckResult(
                            passed=True,
                            check_name=VERIFIED,
                            asset_key=key,
                            metadata={"snapshot": published.snapshot, "rows": published.rows},
                        )
                    ],
                )

    return load


def job(
    tables: Sequence[ReplicatedTable], preparations: Mapping[str, Preparation]
) -> "dg.UnresolvedAssetJobDefinition":
    """The job that prepares, extracts and publishes tables: all of them, or those that a run selects."""
    return dg.define_asset_job(
        REPLICATION_JOB,
        selection=selection(tables, preparations),
        description="Extracts and publishes tables: those that a schedule names, or all that are selected.",
    )


def selection(tables: Sequence[ReplicatedTable], preparations: Mapping[str, Preparation]) -> dg.AssetSelection:
    """All assets that prepare, extract and publish the tables, with the checks of these steps."""
    keys = [dg.AssetKey(step.split("/")) for step in steps(tables, preparations)]
    return without_standing_checks(dg.AssetSelection.assets(*keys), [table.name for table in tables])


def schedule(tables: Sequence[ReplicatedTable], preparations: Mapping[str, Preparation]) -> dg.ScheduleDefinition:
    """The schedule of a table, or of all that become current with it, switched on. It is called as the first one."""
    names = ", ".join(table.name for table in tables)
    request = dg.RunRequest(
        asset_selection=[dg.AssetKey(step.split("/")) for step in steps(tables, preparations)],
        asset_check_keys=[
            dg.AssetCheckKey(dg.AssetKey(step.split("/")), name) for step, name in checks(tables, preparations)
        ],
        tags={"penstock/tables": names},
    )
    return dg.ScheduleDefinition(
        name=f"replicate_{tables[0].name}_schedule",
        job_name=REPLICATION_JOB,
        cron_schedule=tables[0].cron,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Extracts and publishes {names}.",
        execution_fn=lambda _: request,
    )


def _newest(environment: Environment, table: ReplicatedTable) -> Snapshot:
    newest = environment.snapshots.latest(table.name)
    if newest is None:
        raise PenstockError(
            f"table {table.name}", expected="a snapshot", found="none", todo=f"Materialize snapshot/{table.name}."
        )
    return newest
