from datetime import UTC, datetime, timedelta

import pytest

from penstock.declare.periods import Cadence, Period
from penstock.errors import PenstockError


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("named", "trained_on", "window"),
    [
        ("2026-02", 6, ("2025-08-01", "2026-02-01", "2026-03-01")),
        ("2026-W01", 2, ("2025-12-15", "2025-12-29", "2026-01-05")),
        ("2026-W53", 1, ("2026-12-21", "2026-12-28", "2027-01-04")),
        ("2026-03-01", 30, ("2026-01-30", "2026-03-01", "2026-03-02")),
        ("1849-01", 2, ("1848-11-01", "1849-01-01", "1849-02-01")),
    ],
)
def test_the_named_period_is_held_out_and_the_periods_before_are_trained_on(
    named: str, trained_on: int, window: tuple[str, str, str]
) -> None:
    found = Period.parse(named).windows(trained_on)

    assert (found.training_from, found.holdout_from, found.holdout_until) == tuple(map(utc, window))
    assert str(Period.parse(named)) == named
    assert Period.parse(named).first_day == window[1]


@pytest.mark.parametrize(
    ("moment", "day", "week", "month"),
    [
        ("2026-11-22T23:59", "2026-11-22", "2026-W47", "2026-11"),
        ("2027-01-01", "2027-01-01", "2026-W53", "2027-01"),
        ("2024-12-30", "2024-12-30", "2025-W01", "2024-12"),
    ],
)
def test_an_instant_lies_in_one_period_of_each_cadence(moment: str, day: str, week: str, month: str) -> None:
    cadences: tuple[Cadence, ...] = ("day", "week", "month")
    assert [str(Period.containing(utc(moment), every)) for every in cadences] == [day, week, month]


def test_an_instant_of_another_zone_is_taken_in_utc() -> None:
    assert str(Period.containing(datetime.fromisoformat("2026-11-01T00:30+01:00"), "month")) == "2026-10"


def test_periods_follow_each_other_over_the_end_of_a_year_and_back() -> None:
    assert [str(Period.parse(name).moved(1)) for name in ("2026-12", "2026-W53", "2026-12-31")] == [
        "2027-01",
        "2027-W01",
        "2027-01-01",
    ]
    assert Period.parse("2026-W53").moved(1).moved(-1) == Period.parse("2026-W53")
    assert Period.parse("2026-W45").end - Period.parse("2026-W45").start == timedelta(days=7)


@pytest.mark.parametrize(
    "wrong", ["", "2026", "2026-13", "October", "2025-W53", "2026-02-30", "2026-W5", "0999-01", "1899-W05"]
)
def test_another_way_of_writing_a_period_is_refused_with_examples(wrong: str) -> None:
    with pytest.raises(
        PenstockError, match=r"2026-11-24 or a week, such as 2026-W45 or a month, such as 2026-10, found"
    ):
        Period.parse(wrong)


def test_a_period_of_another_cadence_is_refused_with_an_example_of_the_right_one() -> None:
    with pytest.raises(
        PenstockError, match=r"^period of model 'm': expected a week, such as 2026-W45, found '2026-10'"
    ):
        Period.parse("2026-10", "week", of="period of model 'm'")
