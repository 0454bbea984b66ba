"""Which period is trained where none is named, and which requests come next where no query says it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from penstock.declare.model import Model
from penstock.errors import PenstockError
from penstock.extract.coming_requests import coming
from penstock.extract.newest_rows import newest_period
from penstock.testing import NOON, System
from tests.engine.training.tanks import tank_model

pytestmark = pytest.mark.slow

QUERY = "SELECT * FROM tanks WHERE asked_at >= :from AND asked_at < :until -- until now;"


def model(**more: Any) -> Model:
    return replace(tank_model(lambda: None), query=QUERY, **more)


def rows(first: datetime, days: int, each: int = 1) -> list[dict[str, Any]]:
    return [
        {
            "tank": day * each + n,
            "inflow": 1.0,
            "level": 2.0,
            "site": "north",
            "asked_at": first + timedelta(days=day, minutes=n),
            "overflows": 1,
        }
        for day in range(days)
        for n in range(each)
    ]


@pytest.mark.parametrize(
    ("first", "days", "every", "period"),
    [
        ("2026-08-01", 120, "month", "2026-10"),
        ("2026-08-01", 92, "month", "2026-10"),
        ("2020-01-01", 366, "month", "2020-12"),
        ("2020-01-01", 340, "month", "2020-11"),
        ("2026-08-01", 118, "week", "2026-W46"),
        ("2026-08-01", 30, "week", "2026-W35"),
        ("2026-08-01", 30, "day", "2026-08-30"),
    ],
)
def test_the_newest_period_that_has_rows_is_trained(
    system: System, first: str, days: int, every: Any, period: str
) -> None:
    system.write_tables({"tanks": rows(datetime.fromisoformat(first).replace(tzinfo=UTC), days)})
    assert str(newest_period(model(every=every), system.warehouse, NOON)) == period


@pytest.mark.parametrize(("first_period", "period"), [("", "2026-07"), ("2026-08", "2026-09")])
def test_where_rows_end_early_after_a_pause_the_period_before_that_is_trained(
    system: System, first_period: str, period: str
) -> None:
    paused = rows(datetime(2026, 7, 1, tzinfo=UTC), 20) + rows(datetime(2026, 9, 1, tzinfo=UTC), 5)
    system.write_tables({"tanks": paused})
    assert str(newest_period(model(first_period=first_period), system.warehouse, NOON)) == period


@pytest.mark.parametrize(
    ("days", "known", "period"),
    [(120, 92, "2026-10"), (120, 61, "2026-09"), (92, 61, "2026-09"), (92, 80, "2026-10")],
    ids=["of all before the running month", "of a month less", "of the last month none", "of most of the last month"],
)
def test_rows_without_an_outcome_are_no_rows_to_train_on(system: System, days: int, known: int, period: str) -> None:
    made = rows(datetime(2026, 8, 1, tzinfo=UTC), days)
    system.write_tables({"tanks": [row | {"overflows": 1 if n < known else None} for n, row in enumerate(made)]})
    assert str(newest_period(model(null_outcome="leave_out"), system.warehouse, NOON)) == period


def test_no_rows_at_all_are_said(system: System) -> None:
    system.write_tables({"tanks": rows(NOON + timedelta(days=9), 2)})
    with pytest.raises(PenstockError, match="expected rows that were asked before 2026-11-01"):
        newest_period(model(), system.warehouse, NOON)


def test_without_a_query_the_newest_rows_of_the_training_set_are_asked(system: System) -> None:
    system.write_tables({"tanks": rows(NOON - timedelta(days=9), 20)})
    found = coming(model(), 3, system.warehouse, NOON)
    assert [request["tank"] for request in found] == [8, 7, 6]
    assert found[0] == {"tank": 8, "inflow": 1.0, "level": 2.0, "site": "north"}


def test_a_query_of_requests_with_two_columns_of_one_name_is_refused_by_its_model(system: System) -> None:
    system.write_tables({"tanks": rows(NOON - timedelta(days=9), 2)})
    query = "SELECT tank, inflow, level, site, tank FROM tanks LIMIT :count"
    with pytest.raises(PenstockError, match=r"query of requests of model 'overflow': expected .* found 'tank' twice"):
        coming(model(requests_query=query), 3, system.warehouse, NOON)


def test_rows_that_the_contract_refuses_are_left_out_and_said_where_all_are(system: System) -> None:
    good = rows(NOON - timedelta(days=3), 2)
    system.write_tables({"tanks": [*good, good[0] | {"tank": -5, "asked_at": NOON - timedelta(hours=1)}]})
    query = "SELECT tank, inflow, level, site FROM tanks ORDER BY asked_at DESC LIMIT :count"
    assert [request["tank"] for request in coming(model(requests_query=query), 3, system.warehouse, NOON)] == [1, 0]
    with pytest.raises(PenstockError, match=r"found 1 that it refuses: .*`\$\.tank`"):
        coming(model(requests_query=query), 1, system.warehouse, NOON)
