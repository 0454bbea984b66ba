"""Upkeep of the journals as a scheduled asset: coming days are made, and old ones dropped."""

import dagster as dg

from penstock.graph.environment import Environment
from penstock.graph.evidence import as_table
from penstock.graph.faults import faults
from penstock.graph.retention import GROUP, OWNER
from penstock.journal.reading import KEEP_DAYS
from penstock.journal.upkeep import keep_up

KEY = dg.AssetKey([GROUP, "journal"])


def journal_upkeep() -> dg.AssetsDefinition:
    """The asset that keeps a partition ready for each coming day of both journals, and few old ones."""

    @dg.asset(
        key=KEY,
        group_name=GROUP,
        description="Makes the partitions of the journal for the coming weeks, in both books, and drops those that are "
        f"older than {KEEP_DAYS} days. A day that somebody reads stays until the next run, which is said here: nobody "
        "who journals waits for it.",
        owners=[OWNER],
        kinds={"postgres"},
    )
    def keep_up_journal(context: dg.AssetExecutionContext, environment: Environment) -> dg.MaterializeResult[None]:
        with faults():
            done = [keep_up(book) for book in environment.books]
        for one in done:
            (context.log.warning if one.due else context.log.info)(str(one))
        columns = ("book", "days_made", "days_ahead", "days_dropped", "days_due", "blocked_by", "answers_deleted")
        rows = [
            (one.book, one.made, one.days_ahead, len(one.dropped), len(one.due), one.blocked_by, one.answers)
            for one in done
        ]
        return dg.MaterializeResult(
            metadata={
                "journals": as_table(columns, rows),
                "days_ahead": min(one.days_ahead for one in done),
                "days_due": sum(len(one.due) for one in done),
            }
        )

    return keep_up_journal
