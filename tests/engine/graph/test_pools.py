"""Two runs at once never want the same table, month or warehouse file: the second one's step waits for the first's."""

import time
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import dagster as dg
import pytest
import yaml

from assets.definitions import defs
from penstock.graph import replication
from penstock.graph.environment import Environment
from penstock.graph.replication import publication
from penstock.settings import load
from penstock.snapshots.store import SnapshotStore
from tests.engine.publishing import declared, numbered, write

RUNS, SECONDS = 2, 120


def run(seen: Path) -> None:
    """Publish a table, slowly, as a run of Dagster in a process of its own; write when that began and ended."""
    own = replication.publish_group

    def slowly(*given: object, **named: object) -> Iterator[object]:
        began = time.monotonic()
        yield from own(*given, **named)  # type: ignore[arg-type]
        while len(list(seen.parent.glob("*.begun"))) < RUNS:
            time.sleep(0.1)
        time.sleep(2)
        seen.write_text(f"{began} {time.monotonic()}")

    replication.publish_group = slowly  # type: ignore[assignment]
    seen.with_suffix(".begun").touch()
    with dg.DagsterInstance.get() as instance:
        dg.materialize([publication([declared()])], instance=instance, resources={"environment": Environment()})


@pytest.mark.slow
@pytest.mark.usefixtures("an_hour_later", "book", "prod_book", "instance_file")
def test_two_runs_that_publish_one_table_do_so_one_after_the_other(tmp_path: Path) -> None:
    write(SnapshotStore(load().snapshots), numbered(10))
    files = [tmp_path / str(number) for number in range(RUNS)]
    runs = [get_context("spawn").Process(target=run, args=(file,)) for file in files]
    for process in runs:
        process.start()
    for process in runs:
        process.join(SECONDS)
    assert [process.exitcode for process in runs] == [0] * RUNS
    (_, first_ended), (second_began, _) = sorted(tuple(map(float, file.read_text().split())) for file in files)
    assert second_began >= first_ended


def test_a_pool_that_another_run_has_just_made_is_there(instance_file: Path) -> None:
    """Two runs that find no pool of a name both make it."""
    with dg.DagsterInstance.get() as one, dg.DagsterInstance.get() as other:
        made = [run.event_log_storage.initialize_concurrency_limit_to_default("table/tides") for run in (one, other)]
        assert made == [True, True]
        assert [(pool.name, pool.limit, pool.from_default) for pool in one.event_log_storage.get_pool_limits()] == [
            ("table/tides", 1, True)
        ]
        assert one.event_log_storage.get_concurrency_info("table/tides").slot_count == 1


def test_a_pool_takes_the_limit_that_an_operator_changed(instance_file: Path) -> None:
    with dg.DagsterInstance.get() as instance:
        instance.event_log_storage.initialize_concurrency_limit_to_default("table/tides")
        instance.event_log_storage.set_concurrency_slots("warehouse", 4)
    file = yaml.safe_load(instance_file.read_text())
    file["concurrency"]["pools"]["default_limit"] = 2
    instance_file.write_text(yaml.safe_dump(file))
    with dg.DagsterInstance.get() as instance:
        instance.event_log_storage.initialize_concurrency_limit_to_default("table/tides")
        limits = {pool.name: (pool.limit, pool.from_default) for pool in instance.event_log_storage.get_pool_limits()}
        assert limits == {"table/tides": (2, True), "warehouse": (4, False)}
        assert instance.event_log_storage.get_concurrency_info("table/tides").slot_count == 2


def test_every_step_that_writes_is_in_a_pool() -> None:
    """Maintenance has none: what it does twice at once, it does once."""
    pools: dict[str, set[str | None]] = {}
    for asset in defs.resolve_asset_graph().assets_defs:
        if asset.is_executable and asset.computation:
            for key in asset.keys:
                pools.setdefault(key.path[0], set()).add(asset.op.pool)
    assert pools["snapshot"] == pools["prepared"] == {"warehouse"}
    assert pools["flight_delay"] == {"warehouse", "model/flight_delay"}
    assert len(pools["prod"]) > 3
    assert all(pool and pool.startswith("table/") for pool in pools["test"] | pools["prod"])
    assert {name for name, used in pools.items() if None in used} <= {"maintenance"}
