from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from penstock.settings import Settings
from penstock.warehouse.duckdb_file import DuckDBWarehouse
from resources.example import FIRST_DAY, ensure, first_trainable_month, shift_days
from tests.example import NOW, Example


def rows(example: Example, query: str, now: datetime = NOW) -> list[Any]:
    warehouse = DuckDBWarehouse(str(example.settings.warehouse_file), now=now)
    with warehouse.connect(read_only=True) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.parametrize("day", range(0, 800, 37))
def test_the_year_is_moved_by_whole_weeks_to_where_now_lies_inside_it(day: int) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)
    shift = shift_days(now)

    assert shift % 364 == 0
    assert timedelta(0) <= now.date() - (FIRST_DAY + timedelta(days=shift)) < timedelta(days=364)


def test_weekdays_stay_true(example: Example) -> None:
    shift = shift_days(NOW)
    moved = rows(
        example,
        f"SELECT DISTINCT dayofweek(make_date(year, month, day)) FROM source.flights "
        f"WHERE make_date(year, month, day) = DATE '2013-07-04' + {shift}",
    )

    assert moved == [(4,)]  # 4 July 2013 was a Thursday


def test_only_what_has_happened_has_an_outcome(example: Example) -> None:
    query = """SELECT count(*) FILTER (WHERE scheduled_at < TIMESTAMPTZ '2026-11-21' AND dep_delay IS NOT NULL),
        count(*) FILTER (WHERE scheduled_at > TIMESTAMPTZ '2026-11-22 14:00+00' AND arr_delay IS NOT NULL),
        count(*) FILTER (WHERE scheduled_at > TIMESTAMPTZ '2026-11-22 12:00+00') FROM flights"""
    happened, foreseen, coming = rows(example, query)[0]

    assert happened > 300_000
    assert foreseen == 0
    assert coming > 1_000


def test_outcomes_appear_as_now_moves_on(example: Example) -> None:
    query = "SELECT count(arr_delay), max(landed_at), (SELECT max(time_hour) FROM weather) FROM flights"
    before = rows(example, query)[0]
    after = rows(example, query, NOW + timedelta(hours=6))[0]

    assert after[0] > before[0]
    assert before[1] <= NOW < after[1] <= NOW + timedelta(hours=6)
    assert before[2] <= NOW < after[2]


def test_histories_hold_only_what_was_known_by_their_time(example: Example) -> None:
    for table in ("route_history", "carrier_history", "origin_hour"):
        count, newest = rows(example, f"SELECT count(*), max(known_at) FROM prepared.{table}")[0]
        assert count > 5_000
        assert newest <= NOW


def test_every_key_is_unique(example: Example) -> None:
    query = "SELECT count(*), count(DISTINCT (carrier, flight, origin, scheduled_departure)) FROM flights"
    total, different = rows(example, query)[0]

    assert total == different > 900_000


def test_seeding_again_does_nothing_until_now_has_left_the_year(example: Example) -> None:
    assert ensure(example.settings) == "already there"


def test_the_first_trainable_month_has_half_a_year_before_it() -> None:
    first = date.fromisoformat(f"{first_trainable_month(NOW)}-01")

    assert first - (FIRST_DAY + timedelta(days=shift_days(NOW) - 364)) >= timedelta(days=181)
    assert first < NOW.date()


def test_a_warehouse_of_which_only_the_file_was_made_is_seeded(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with DuckDBWarehouse(str(settings.warehouse_file)).connect():
        assert settings.warehouse_file.exists(), "as an interrupted `up` leaves it"
    assert "rows laid around" in ensure(settings)
    assert ensure(settings) == "already there"
