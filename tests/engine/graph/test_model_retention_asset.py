"""Retention of models as an asset: it lists what may go before it drops it, and with `dry_run` drops nothing."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sklearn.linear_model import Ridge

from penstock.artifact.packing.pack import pack
from penstock.contract.contract import Feature
from penstock.graph.environment import Environment
from penstock.graph.model_retention import KEY, model_retention
from penstock.releases.artifacts import ArtifactStore
from penstock.releases.cards import CardStore
from penstock.releases.ledger import Proposal, Verdict, release
from penstock.retention.models import ModelRetention
from penstock.testing import Clock, System
from tests.engine.cards import card

POLICY = ModelRetention()
HUNDRED_DAYS = 100 * 86_400.0


def stored(home: Path, slope: float) -> str:
    """An artifact with its card, both 100 days old; its digest."""
    file = home / "made"
    pack(Ridge().fit([[0.0], [1.0]], [0.0, slope]), file, features=[Feature("x", "number")], metadata={})
    url = str(home / "artifacts")
    digest = ArtifactStore(url).put(file)
    CardStore(url).put(card(digest))
    for kept in Path(url).rglob(f"{digest}*"):
        os.utime(kept, (time.time() - HUNDRED_DAYS,) * 2)
    return digest


def left(home: Path) -> set[str]:
    return {file.stem for file in (home / "artifacts").rglob("*") if file.is_file()}


@pytest.mark.slow
def test_a_dry_run_shows_and_the_next_run_drops_and_the_current_release_stays(system: System, clock: Clock) -> None:
    clock.set(datetime.now(UTC))  # the files in the store are as old as the machine's clock says
    serving, never = stored(system.home, 1.0), stored(system.home, 2.0)
    proposal = Proposal("m", serving, "contract", "2026-10", "", "", {}, "code")
    release(system.prod, proposal, lambda _: Verdict("release", {}), who="me", why="test")

    def run(*, dry_run: bool) -> tuple[dict[str, Any], dict[str, Any]]:
        with dg.instance_for_test() as instance:
            done = dg.materialize(
                [model_retention(POLICY)],
                instance=instance,
                resources={"environment": Environment()},
                run_config={"ops": {"maintenance__model_retention": {"config": {"dry_run": dry_run}}}},
            )
            event = instance.get_latest_materialization_event(KEY)
        assert event is not None
        assert event.asset_materialization is not None
        (shown,) = done.get_asset_observation_events()
        return shown.asset_observation_data.asset_observation.metadata, event.asset_materialization.metadata

    shown, made = run(dry_run=True)
    files = [record.data["artifact or estimator"] for record in shown["files"].records]
    assert files == [never[:12]] * 2, "the artifact and its card, and nothing of the release that serves"
    assert (made["dry_run"].value, made["dropped_files"].value, made["dropped_bytes"].value) == (True, 0, 0)
    assert left(system.home) == {serving, never}

    shown, made = run(dry_run=False)
    assert (made["dry_run"].value, made["dropped_files"].value) == (False, 2)
    assert made["dropped_bytes"].value == shown["may_go_bytes"].value > 0
    assert left(system.home) == {serving}

    shown, made = run(dry_run=False)
    assert shown["files"].records == []
    assert (made["may_go_bytes"].value, made["dropped_files"].value) == (0, 0)
