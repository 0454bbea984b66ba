"""Checks of replicated tables on a schedule of their own, or on demand: still verified, and fresh."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import dagster as dg

from penstock.declare.table import ReplicatedTable
from penstock.graph.environment import Environment
from penstock.graph.faults import faults
from penstock.postgres.book import Book
from penstock.postgres.pointer import Pointer, pointer
from penstock.verify.verify import verify

JOB = "verify_replicated_tables"
CRON = "20 4 * * *"
STILL_VERIFIED, FRESH = "still_verified", "fresh"
_BOOKS = ("test", "prod")


def standing_checks(table: ReplicatedTable) -> dg.AssetChecksDefinition:
    """The checks of one table in both books: all digests recomputed, views included, and the age of its content."""
    keys = {book: dg.AssetKey([book, table.name]) for book in _BOOKS}
    told = {
        STILL_VERIFIED: "Book, views and stored snapshot are what they were when published: all digests recomputed.",
        FRESH: f"The content tells about an instant within the last {_spoken(table.fresh_within)}.",
    }
    specs = [dg.AssetCheckSpec(name, asset=keys[book], description=told[name]) for book in keys for name in told]

    @dg.multi_asset_check(name=f"look_after_{table.name}", specs=specs, can_subset=True)
    def look_after(context: dg.AssetCheckExecutionContext, environment: Environment) -> Iterator[dg.AssetCheckResult]:
        wanted = context.selected_asset_check_keys
        with faults():
            for book in environment.books:
                key, now = keys[book.name], _current(book, table)
                if dg.AssetCheckKey(key, STILL_VERIFIED) in wanted:
                    found = verify([book], environment.snapshots, [table.name])
                    yield dg.AssetCheckResult(
                        passed=bool(found) and all(one.equal for one in found),
                        check_name=STILL_VERIFIED,
                        asset_key=key,
                        metadata={
                            "snapshot": now.snapshot if now else "",
                            "rows": now.rows if now else 0,
                            "digest": found[0].digest if found else "",
                            "finding": found[0].finding if found else "the table was never published",
                        },
                    )
                if dg.AssetCheckKey(key, FRESH) in wanted:
                    age = environment.settings.now() - now.as_of if now else None
                    yield dg.AssetCheckResult(
                        passed=age is not None and age <= table.fresh_within,
                        check_name=FRESH,
                        asset_key=key,
                        metadata={
                            "age_hours": age.total_seconds() / 3600 if age is not None else None,
                            "fresh_within_hours": table.fresh_within.total_seconds() / 3600,
                        },
                    )

    return look_after


def without_standing_checks(selection: dg.AssetSelection, tables: Sequence[str]) -> dg.AssetSelection:
    """A selection of assets and their checks, without the standing checks of the tables."""
    return selection - dg.AssetSelection.checks(*_check_keys(tables))


def job_and_schedule(tables: Sequence[str]) -> tuple["dg.UnresolvedAssetJobDefinition", dg.ScheduleDefinition]:
    """The job of all standing checks and its daily schedule, switched on."""
    selection = dg.AssetSelection.checks(*_check_keys(tables))
    job = dg.define_asset_job(
        JOB, selection=selection, description="Recomputes the digests of all tables in both books."
    )
    schedule = dg.ScheduleDefinition(
        name=f"{JOB}_schedule", job=job, cron_schedule=CRON, default_status=dg.DefaultScheduleStatus.RUNNING
    )
    return job, schedule


def _check_keys(tables: Sequence[str]) -> list[dg.AssetCheckKey]:
    return [
        dg.AssetCheckKey(dg.AssetKey([book, table]), name)
        for table in tables
        for book in _BOOKS
        for name in (STILL_VERIFIED, FRESH)
    ]


def _current(book: Book, table: ReplicatedTable) -> Pointer | None:
    with book.connect() as connection:
        return pointer(connection, table.name)


def _spoken(span: timedelta) -> str:
    return f"{span.total_seconds() / 3600:g} hours"
