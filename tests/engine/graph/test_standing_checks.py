"""The standing checks: a table is looked after between two publishes too."""

from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from assets.definitions import defs
from penstock.declare.discovery import declared as declarations
from penstock.graph.environment import Environment
from penstock.graph.standing_checks import JOB, job_and_schedule, standing_checks
from penstock.postgres.book import Book
from penstock.publish.publish import publish
from penstock.snapshots.store import SnapshotStore
from penstock.testing import NOON, Clock
from tests.engine.publishing import declared, numbered, write

TABLE = declared(fresh_within=timedelta(hours=2))


def looked() -> dict[str, bool]:
    job, _ = job_and_schedule([TABLE.name])
    made = dg.Definitions(
        assets=[dg.AssetSpec(["test", TABLE.name]), dg.AssetSpec(["prod", TABLE.name])],
        asset_checks=[standing_checks(TABLE)],
        jobs=[job],
        resources={"environment": Environment()},
        executor=dg.in_process_executor,
    )
    result = made.resolve_job_def(JOB).execute_in_process()
    return {f"{e.asset_key.path[0]} {e.check_name}": e.passed for e in result.get_asset_check_evaluations()}


@pytest.mark.slow
def test_what_is_changed_or_grows_old_after_its_publish_is_found(
    an_hour_later: Path, book: Book, prod_book: Book, clock: Clock
) -> None:
    never = {f"{one} {check}": False for one in ("test", "prod") for check in ("still_verified", "fresh")}
    assert looked() == never
    snapshot = write(SnapshotStore(str(an_hour_later / "snapshots")), numbered(50))
    (published, _) = publish(snapshot, TABLE, [book, prod_book], who="me")
    assert looked() == dict.fromkeys(never, True)

    with book.connect() as connection:
        connection.execute(f'UPDATE replicated."{published.physical}" SET value = 9 WHERE key = 3')
    clock.set(NOON + timedelta(hours=3))
    assert looked() == never | {"prod still_verified": True}


def test_they_run_on_their_own_schedule_and_not_with_every_publish() -> None:
    def steps(job: str) -> set[str]:
        return {node.name for node in defs.resolve_job_def(job).nodes}

    every = {f"look_after_{name}" for name in declarations().tables}
    assert steps(JOB) == every
    assert defs.jobs
    for job in defs.jobs:
        assert job.name == JOB or not steps(job.name) & every, job.name
