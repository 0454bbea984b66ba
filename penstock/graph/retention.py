"""Retention as a scheduled asset: what the policy allows to drop is shown first, then dropped."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from penstock.graph.environment import Environment
from penstock.graph.evidence import as_table
from penstock.graph.faults import faults
from penstock.retention.policy import Removals, RetentionPolicy, drop, droppable

GROUP = "maintenance"
OWNER = "team:operations"
CRON = "40 3 * * *"
KEY = dg.AssetKey([GROUP, "retention"])


class RetentionConfig(dg.Config):
    """With `dry_run`, what may go is shown and stays."""

    dry_run: bool = False


def retention(policy: RetentionPolicy) -> dg.AssetsDefinition:
    """The asset that keeps the snapshot store and the books from growing for ever."""

    @dg.asset(
        key=KEY,
        group_name=GROUP,
        description=f"Drops what nobody needs any more. Of every table the newest {policy.snapshots} snapshots and "
        f"those younger than {policy.young.days} days stay in the store, and the newest {policy.tables} physical "
        "tables in each book. What is current, what a release was made from, and what replaying predictions of the "
        f"last {policy.replayable.days} days needs stays whatever its age. An observation lists all of it before "
        "anything is dropped.",
        owners=[OWNER],
        kinds={"postgres", "parquet"},
    )
    def keep_small(
        environment: Environment, config: RetentionConfig
    ) -> Iterator[dg.AssetObservation | dg.MaterializeResult[None]]:
        with faults():
            store, books = environment.snapshots, environment.books
            found = droppable(store, books, policy)
            yield dg.AssetObservation(KEY, description="May go", metadata=_evidence(found))
            dropped = Removals() if config.dry_run else drop(store, books, found, policy)
        yield dg.MaterializeResult(
            metadata={
                **_evidence(found),
                "dry_run": config.dry_run,
                "dropped_snapshots": len(dropped.snapshots),
                "dropped_physical_tables": len(dropped.tables),
                "dropped_bytes": dropped.bytes,
            }
        )

    return keep_small


def job_and_schedule() -> tuple["dg.UnresolvedAssetJobDefinition", dg.ScheduleDefinition]:
    """The job of retention and its daily schedule, switched on."""
    job = dg.define_asset_job(
        "retention",
        selection=dg.AssetSelection.groups(GROUP),
        description="Drops what is old, and makes the journal's coming days.",
    )
    schedule = dg.ScheduleDefinition(
        name="retention_schedule", job=job, cron_schedule=CRON, default_status=dg.DefaultScheduleStatus.RUNNING
    )
    return job, schedule


def _evidence(found: Removals) -> dict[str, Any]:
    """The snapshots and physical tables as tables, with their sizes."""
    return {
        "snapshots": as_table(
            ("table", "snapshot", "rows", "bytes", "written"),
            [(one.name, one.id[:12], one.rows, one.bytes, f"{one.created:%Y-%m-%d %H:%M}") for one in found.snapshots],
        ),
        "physical_tables": as_table(
            ("book", "table", "physical", "bytes"),
            [(one.book.upper(), one.table, one.physical, one.bytes) for one in found.tables],
        ),
        "may_go_bytes": found.bytes,
    }
