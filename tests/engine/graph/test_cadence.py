"""Models of different cadence in one code location: partitions, jobs, schedules and what each selects."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import msgspec
import pytest

from penstock.contract.contract import Column, Lookup
from penstock.declare.model import Model
from penstock.declare.project import Declarations
from penstock.errors import PenstockError
from penstock.graph.definitions import definitions_of
from tests.engine.publishing import declared as table
from tests.engine.training.tank_declarations import declared


def model(name: str, *tables: str, **more: Any) -> Model:
    """The tank's model by another name, with lookups of tables."""
    tank = declared().model("overflow")
    lookups = tuple(Lookup(one, one, {"key": "tank"}, (Column("value", "number"),)) for one in tables)
    contract = msgspec.structs.replace(tank.contract, model=name, lookups=lookups)
    return replace(tank, contract=contract, **more)


DAILY = model("leak", "sensors", every="day", first_period="2026-11-01", outcome_after=timedelta(days=2), window=3)
WEEKLY = model("overflow", "orders", every="week", first_period="2026-W40", cron="30 6 * * 2,4")
MONTHLY = model("rust", first_period="2026-06", cron="@monthly", window=1)


@pytest.fixture(scope="module")
def defs(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    found = Declarations(
        tables={
            one.name: one for one in (table("sensors"), table("orders", group="sales"), table("lines", group="sales"))
        },
        models={one.contract.model: one for one in (DAILY, WEEKLY, MONTHLY)},
    )
    return definitions_of(tmp_path_factory.mktemp("project"), found)


def nodes(defs: dg.Definitions, job: str) -> set[str]:
    return {node.name for node in defs.resolve_job_def(job).nodes}


def steps(name: str) -> set[str]:
    return {f"{name}__{step}" for step in ("training_set", "holdout_set", "candidate", "test_release", "prod_release")}


def test_each_model_has_the_partitions_of_its_cadence_from_its_first_period_on(defs: dg.Definitions) -> None:
    now = datetime(2026, 11, 25, 12, tzinfo=UTC)
    keys = {}
    for name in ("leak", "overflow", "rust"):
        partitions = defs.resolve_job_def(f"train_{name}").partitions_def
        assert partitions is not None
        keys[name] = partitions.get_partition_keys(now)
    assert (keys["leak"][0], keys["leak"][-1], len(keys["leak"])) == ("2026-11-01", "2026-11-24", 24)
    assert (keys["overflow"][0], keys["overflow"][-1], len(keys["overflow"])) == ("2026-09-28", "2026-11-16", 8)
    assert (keys["rust"][0], keys["rust"][-1], len(keys["rust"])) == ("2026-06-01", "2026-10-01", 5)


def test_everything_for_a_model_is_its_tables_with_their_group_and_its_own_steps(defs: dg.Definitions) -> None:
    assert nodes(defs, "everything_for_leak") == {"snapshot__sensors", "publish_sensors", *steps("leak")}
    assert nodes(defs, "everything_for_overflow") == {
        "snapshot__orders",
        "snapshot__lines",
        "publish_sales",
        *steps("overflow"),
    }
    assert nodes(defs, "everything_for_rust") == steps("rust")


def test_a_code_location_of_several_cadences_is_valid(defs: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(defs)


def requested(defs: dg.Definitions, name: str, at: datetime) -> dg.RunRequest | dg.SkipReason | None:
    schedule = defs.resolve_schedule_def(f"train_{name}_schedule")
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(
            instance, scheduled_execution_time=at, repository_def=defs.get_repository_def()
        )
        data = schedule.evaluate_tick(context)
    return data.run_requests[0] if data.run_requests else dg.SkipReason(data.skip_message)


@pytest.mark.parametrize(
    ("name", "at", "partition"),
    [
        ("leak", datetime(2026, 11, 10, 6, tzinfo=UTC), "2026-11-07"),  # the 8th ends on the 9th, known on the 11th
        ("overflow", datetime(2026, 11, 10, 6, 30, tzinfo=UTC), "2026-11-02"),
        ("rust", datetime(2026, 11, 1, tzinfo=UTC), "2026-10-01"),
    ],
)
def test_a_schedule_asks_for_the_newest_period_whose_outcomes_are_known(
    defs: dg.Definitions, name: str, at: datetime, partition: str
) -> None:
    request = requested(defs, name, at)
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == partition


def test_a_schedule_says_that_the_first_period_is_still_to_come(defs: dg.Definitions) -> None:
    skipped = requested(defs, "leak", datetime(2026, 11, 3, 6, tzinfo=UTC))
    assert isinstance(skipped, dg.SkipReason)
    assert skipped.skip_message == "2026-10-31 is before 2026-11-01, the first day that can be trained."


def test_a_cron_expression_reaches_dagster_whole(defs: dg.Definitions) -> None:
    crons = {
        name: defs.resolve_schedule_def(f"train_{name}_schedule").cron_schedule for name in ("leak", "overflow", "rust")
    }
    assert crons == {"leak": "0 6 * * *", "overflow": "30 6 * * 2,4", "rust": "@monthly"}


@pytest.mark.parametrize(
    ("slip", "says"),
    [
        ({"cron": "30 6 2 *"}, r"cron of model 'm': expected five fields, found 4 in '30 6 2 \*'"),
        ({"every": "year"}, "every of model 'm': expected 'day' or 'week' or 'month', found str 'year'"),
        ({"every": "week", "first_period": "2026-10"}, "first_period of model 'm': expected a week, such as 2026-W45"),
        ({"window": 0}, "window of model 'm': expected at least 1 period, and at most 1,200 months, found 0"),
        ({"outcome_after": timedelta(days=-1)}, "outcome_after of model 'm': expected a timedelta of zero or more"),
        ({"outcome_after": 30}, "outcome_after of model 'm': expected a timedelta, such as .*, found int 30"),
    ],
)
def test_a_slip_in_the_cadence_is_refused_where_it_is_declared(slip: dict[str, Any], says: str) -> None:
    with pytest.raises(PenstockError, match=says):
        model("m", **slip)


def test_the_cron_expression_of_a_table_is_checked_too() -> None:
    with pytest.raises(PenstockError, match="cron of table 'sensors': expected hour of 0 to 23, found '24'"):
        table("sensors", cron="0 24 * * *")
