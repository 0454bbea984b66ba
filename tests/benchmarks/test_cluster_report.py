"""The report of a cluster's chaos calls good what was promised, and nothing else."""

from typing import Any

import msgspec
import pytest

from benchmarks.chaos.cluster_report import ClusterReport, summary

AWAY = "503 book-away"
WHOLE = ClusterReport(
    name="worker killed",
    seconds=20.0,
    answers=1000,
    failed={},
    expected=(),
    failed_at=None,
    failed_elsewhere={"ConnectionRefusedError": 500},
    longest_pause_s=0.2,
    slowest_refusal_s=0.0,
    recovered_s=0.0,
    lost=0,
    otherwise=0,
    double=0,
)


def changed(**values: Any) -> ClusterReport:
    return msgspec.structs.replace(WHOLE, **values)


def test_what_fails_through_the_node_that_was_hit_is_no_fault() -> None:
    assert WHOLE.good
    assert "NOT AS PROMISED" not in WHOLE.line()


@pytest.mark.parametrize(
    "values",
    [{"failed": {AWAY: 1}, "failed_at": (0.8, 0.8)}, {"lost": 1}, {"otherwise": 1}, {"double": 1}, {"answers": 0}],
    ids=lambda values: next(iter(values)),
)
def test_whatever_else_fails_or_is_missing_is(values: dict[str, Any]) -> None:
    assert not changed(**values).good
    assert changed(**values).line().endswith("NOT AS PROMISED")


def test_expected_refusals_have_to_come_and_to_end_in_time() -> None:
    away = changed(failed={AWAY: 200}, expected=(AWAY,), slowest_refusal_s=0.81, recovered_s=0.5)
    assert away.good
    assert not msgspec.structs.replace(away, slowest_refusal_s=2.0).good
    assert not msgspec.structs.replace(away, recovered_s=6.0).good
    assert not msgspec.structs.replace(away, failed={AWAY: 200, "500 internal": 1}).good


def test_the_summary_has_a_line_for_each_event_and_one_for_all() -> None:
    other = changed(name="head replaced", failed={"500 internal": 2}, longest_pause_s=1.5)
    lines = summary([WHOLE, other, WHOLE]).splitlines()
    assert len(lines) == 3
    assert "2 times     2,000 answered, 0 failed" in lines[0]
    assert "1 times     1,000 answered, 2 failed" in lines[1]
    assert "3 times     3,000 answered, 2 failed, 0 lost, otherwise or double, longest pause 1.50 s" in lines[2]
