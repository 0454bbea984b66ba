"""Rows of another time than a query is run for are refused: they would be held out and trained on."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from penstock.errors import PenstockError
from penstock.extract.extract import extract_training_rows
from penstock.extract.window import demand_inside
from penstock.snapshots.store import SnapshotStore
from penstock.testing import NOON, System
from tests.engine.extract.test_newest_rows import model, rows

SINCE, UNTIL = datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "condition", ["asked_at >= :from OR asked_at < :until", "asked_at <= :from AND now() > :until"]
)
def test_a_query_that_leaves_its_window_is_refused_and_nothing_is_stored(system: System, condition: str) -> None:
    system.write_tables({"tanks": rows(datetime(2026, 8, 1, tzinfo=UTC), 90)})
    store = SnapshotStore(system.settings.snapshots)
    wrong = replace(model(), query=f"SELECT * FROM tanks WHERE {condition}")
    with pytest.raises(PenstockError, match=r"rows with asked_at from 2026-09-01 until 2026-10-01, .*one of 2026-"):
        extract_training_rows(wrong, {}, system.warehouse, store, NOON, name="t", since=SINCE, until=UNTIL)
    assert store.latest("t") is None
    right = extract_training_rows(model(), {}, system.warehouse, store, NOON, name="t", since=SINCE, until=UNTIL)
    assert right.rows == 30


@pytest.mark.parametrize(
    ("asked", "inside"),
    [
        (SINCE - timedelta(hours=24), True),
        (SINCE - timedelta(hours=24, microseconds=1), False),
        (UNTIL + timedelta(hours=24), False),
        (datetime(2026, 10, 1, 23, 59), True),
        (date(2026, 8, 31), True),
        (date(2026, 10, 2), False),
        (None, True),
        ("no time", True),
    ],
)
def test_a_day_is_left_to_a_query_that_binds_another_time_than_the_asking(asked: Any, inside: bool) -> None:
    if inside:
        assert demand_inside(model(), SINCE, UNTIL, [asked]) is None  # type: ignore[func-returns-value]
    else:
        with pytest.raises(PenstockError, match="Look at its WHERE"):
            demand_inside(model(), SINCE, UNTIL, [asked])
