from datetime import timedelta

import dagster as dg
import pytest

from penstock.declare.cron import ALIASES, default_cron, demand_cron
from penstock.errors import PenstockError

HONOURED = (
    *ALIASES,
    "30 6 2 * *",
    "0 6 2 1,4,7,10 *",
    "*/15 8-18 * * mon-fri",
    "0 6 * * 7",
    "5/20 0 1-7 JAN,jul 0",
    "0 0 29 2 *",
)


@pytest.mark.parametrize("cron", HONOURED)
def test_what_is_let_through_makes_a_schedule_of_dagster(cron: str) -> None:
    demand_cron(cron, "cron of model 'm'")
    made = dg.ScheduleDefinition(job_name="j", cron_schedule=cron)
    assert made.cron_schedule == cron


@pytest.mark.parametrize(
    ("cron", "says"),
    [
        ("", "expected five fields, found 0 in ''"),
        ("0 6 2 *", "expected five fields, found 4"),
        ("0 0 6 2 * *", "expected five fields, found 6"),
        ("60 6 2 * *", "expected minute of 0 to 59, found '60'"),
        ("0 25 2 * *", "expected hour of 0 to 23, found '25'"),
        ("0 6 0 * *", "expected day of month of 1 to 31, found '0'"),
        ("0 6 2 foo *", "expected month of 1 to 12, found 'foo'"),
        ("0 6 * * fri-mon", "from a smaller to a greater number"),
        ("*/0 6 * * *", "in steps within it, found '\\*/0'"),
        ("0 6 L * *", "expected day of month of 1 to 31, found 'L'"),
        ("0 6 1,,2 * *", "expected day of month of 1 to 31, found '1,,2'"),
        ("0 6 30 2 *", "expected a day that its months have, found day 30"),
        ("0 6 31 4,6 *", "expected a day that its months have, found day 31"),
        ("0 6 30 2 1", "expected a day that its months have, found day 30"),
        ("@reboot", "expected five fields, found 1"),
        ("every monday", "expected five fields, found 2"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(cron: str, says: str) -> None:
    with pytest.raises(PenstockError, match=says) as refused:
        demand_cron(cron, "cron of model 'm'")
    assert str(refused.value).startswith("cron of model 'm': expected")
    assert "Write minute, hour" in str(refused.value)


def test_the_default_follows_the_cadence_and_waits_for_the_outcomes() -> None:
    assert default_cron("day", timedelta(hours=30)) == "0 6 * * *"
    assert [default_cron("week", timedelta(days=days)) for days in (0, 5, 6)] == ["0 6 * * 1", "0 6 * * 6", "0 6 * * 0"]
    assert default_cron("week", timedelta(hours=1)) == "0 6 * * 2"
    assert [default_cron("month", timedelta(days=days)) for days in (0, 5, 30)] == [
        "0 6 2 * *",
        "0 6 7 * *",
        "0 6 4 * *",
    ]
