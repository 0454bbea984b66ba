from datetime import UTC, datetime

import pytest

from penstock.errors import PenstockError
from penstock.training.months import last_complete, windows


def test_the_named_month_is_held_out_and_the_months_before_are_trained_on() -> None:
    window = windows("2026-02", 6)

    assert window.training_from == datetime(2025, 8, 1, tzinfo=UTC)
    assert window.holdout_from == datetime(2026, 2, 1, tzinfo=UTC)
    assert window.holdout_until == datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "month"), [("2026-11-22", "2026-10"), ("2026-01-01", "2025-12"), ("2026-12-31", "2026-11")]
)
def test_the_last_complete_month_is_the_one_before_now(now: str, month: str) -> None:
    assert last_complete(datetime.fromisoformat(now).replace(tzinfo=UTC)) == month


@pytest.mark.parametrize("wrong", ["2026", "2026-13", "October"])
def test_another_way_of_writing_a_month_is_refused_with_an_example(wrong: str) -> None:
    with pytest.raises(PenstockError, match="2026-10"):
        windows(wrong, 6)
