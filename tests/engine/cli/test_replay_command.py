from datetime import UTC, datetime

import pytest

from penstock.cli.commands.replay import Tally, instant
from penstock.errors import PenstockError
from penstock.journal.replay import demand_ids
from penstock.journal.verdict import Verdict

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


def test_what_is_no_id_is_named() -> None:
    demand_ids(["01a214e2-55ea-7000-8a7a-2eadae9f2757"])
    with pytest.raises(PenstockError, match=r"ids of predictions: .* found 'nonsense', '12'"):
        demand_ids(["nonsense", "01a214e2-55ea-7000-8a7a-2eadae9f2757", "12"])


def test_predictions_whose_code_is_not_here_are_counted_by_that_code() -> None:
    tally = Tally()
    lines = [tally.add(Verdict(str(n), "m", 1 + n % 2, "contract", needs_code=f"v{n % 2}")) for n in range(1136)]
    lines += [tally.add(Verdict("a", "m", 3)), tally.add(Verdict("b", "m", 3, "output", "1", "2"))]
    assert [line for line in lines if line] == ["b  output differs: journaled 1, now 2"]
    assert tally.lines() == [
        "2 replayed, 1 identical to the bit, 1 different.",
        "568 predictions of m, release 1: needs code v0.",
        "568 predictions of m, release 2: needs code v1.",
    ]
    assert not tally.all_the_same
