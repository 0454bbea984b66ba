from datetime import UTC, datetime

import pytest

from penstock.cli.replay import instant
from penstock.errors import PenstockError

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("90m", datetime(2026, 11, 22, 10, 30, tzinfo=UTC)),
        ("2d", datetime(2026, 11, 20, 12, tzinfo=UTC)),
        ("2026-11-21T00:00:00+00:00", datetime(2026, 11, 21, tzinfo=UTC)),
        (None, None),
    ],
)
def test_since_is_a_time_ago_or_an_instant(text: str | None, meant: datetime | None) -> None:
    assert instant(text, NOW) == meant


def test_any_other_since_is_refused_with_examples() -> None:
    with pytest.raises(PenstockError, match=r"--since: expected a time ago such as 90m, 6h or 2d.*'yesterday'"):
        instant("yesterday", NOW)
