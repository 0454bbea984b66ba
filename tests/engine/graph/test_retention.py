"""Retention as an asset: it lists what may go before it drops it, and with `dry_run` drops nothing."""

from datetime import timedelta
from typing import Any

import dagster as dg
import pytest

from penstock.graph import retention
from penstock.graph.environment import Environment
from penstock.publish.publish import publish
from penstock.retention.policy import RetentionPolicy
from penstock.testing import System
from tests.engine.publishing import declared, numbered, write

STRICT = RetentionPolicy(snapshots=1, young=timedelta(0), grace=timedelta(0))


@pytest.mark.slow
def test_a_dry_run_shows_and_the_next_run_drops(system: System) -> None:
    store = system.snapshots
    for rows in (1, 2, 3):
        publish(write(store, numbered(rows)), declared(), [system.test, system.prod], who="me")

    def run(*, dry_run: bool) -> tuple[dict[str, Any], dict[str, Any]]:
        done = dg.materialize(
            [retention.retention(STRICT)],
            resources={"environment": Environment()},
            run_config={"ops": {"maintenance__retention": {"config": {"dry_run": dry_run}}}},
        )
        (shown,) = done.get_asset_observation_events()
        (made,) = done.get_asset_materialization_events()
        return shown.asset_observation_data.asset_observation.metadata, made.materialization.metadata

    shown, made = run(dry_run=True)
    assert [record.data["table"] for record in shown["physical_tables"].records] == ["numbers"] * 2
    assert [(record.data["table"], record.data["rows"]) for record in shown["snapshots"].records] == [
        ("numbers", 1),
        ("numbers", 2),
    ]
    assert (made["dropped_snapshots"].value, made["dropped_physical_tables"].value) == (0, 0)
    assert len(store.history("numbers")) == 3

    shown, made = run(dry_run=False)
    assert (made["dropped_snapshots"].value, made["dropped_physical_tables"].value) == (2, 2)
    assert made["dropped_bytes"].value == shown["may_go_bytes"].value > 0
    assert [one.rows for one in store.history("numbers")] == [3]

    shown, _ = run(dry_run=False)
    assert (shown["snapshots"].records, shown["physical_tables"].records) == ([], [])
    assert [column.name for column in shown["physical_tables"].schema.columns] == ["book", "table", "physical", "bytes"]
