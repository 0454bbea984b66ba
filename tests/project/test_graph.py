"""The whole asset graph, pinned: a change of it shows up in review as a change of `graph.json`."""

import json
import os
from pathlib import Path
from typing import Any

import dagster as dg

from assets.definitions import defs

PINNED = Path(__file__).with_name("graph.json")
MINIMUM_WORDS = 3


def graph() -> dict[str, Any]:
    specs = {}
    for spec in sorted(defs.resolve_all_asset_specs(), key=lambda spec: spec.key):
        specs[spec.key.to_user_string()] = {
            "group": spec.group_name,
            "deps": sorted(dep.asset_key.to_user_string() for dep in spec.deps),
            "kinds": sorted(spec.kinds),
            "owners": list(spec.owners),
            "partitioned": spec.partitions_def is not None,
            "fresh_within": str(spec.freshness_policy.fail_window.to_timedelta()) if spec.freshness_policy else None,
        }
    checks = sorted(
        f"{check.asset_key.to_user_string()}: {check.name}"
        for asset in defs.resolve_asset_graph().assets_defs
        for check in asset.check_specs
    )
    schedules = {
        schedule.name: {
            "cron": schedule.cron_schedule,
            "job": schedule.job_name,
            "on": schedule.default_status.value,
        }
        for schedule in defs.get_repository_def().schedule_defs
    }
    return {"assets": specs, "checks": checks, "schedules": dict(sorted(schedules.items()))}


def test_the_graph_is_as_pinned() -> None:
    found = graph()
    if os.environ.get("PENSTOCK_PIN_GRAPH"):
        PINNED.write_text(json.dumps(found, indent=1) + "\n")

    assert found == json.loads(PINNED.read_text()), "Run `PENSTOCK_PIN_GRAPH=1 make test TESTS=tests/project` if meant."


def test_every_asset_explains_itself() -> None:
    specs = defs.resolve_all_asset_specs()
    assert len(specs) > 20
    for spec in specs:
        assert len((spec.description or "").split()) >= MINIMUM_WORDS, spec.key
        assert spec.group_name != "default", spec.key
        assert spec.kinds, spec.key
        if spec.key.path[0] != "warehouse":
            assert spec.owners, spec.key


def test_every_schedule_is_switched_on_and_every_replicated_table_has_one() -> None:
    repository = defs.get_repository_def()
    names = {schedule.name for schedule in repository.schedule_defs}

    assert {schedule.default_status for schedule in repository.schedule_defs} == {dg.DefaultScheduleStatus.RUNNING}
    for spec in defs.resolve_all_asset_specs():
        if spec.key.path[0] == "prod":
            assert f"replicate_{spec.key.path[1]}_schedule" in names
            assert spec.freshness_policy is not None
