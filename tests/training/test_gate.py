import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.model import GateRule
from training.gate import judge

RANDOM = np.random.default_rng(0)
OUTCOME = (RANDOM.random(400) < 0.3).astype(float)
GOOD = np.clip(OUTCOME * 0.4 + RANDOM.random(400) * 0.6, 0, 1)
NOISE = RANDOM.random(400)


def test_a_first_candidate_above_the_floor_passes() -> None:
    decision = judge(GateRule(floor=0.6), OUTCOME, GOOD)

    assert decision.passed
    assert decision.current is None
    assert "passed" in decision.summary


def test_a_candidate_below_the_floor_is_refused_with_both_figures() -> None:
    decision = judge(GateRule(floor=0.9), OUTCOME, NOISE)

    assert not decision.passed
    assert "does not reach the floor 0.9" in decision.reasons[0]


def test_a_candidate_worse_than_the_current_release_is_refused_with_the_interval() -> None:
    decision = judge(GateRule(floor=0.1), OUTCOME, NOISE, GOOD, current_version=7)

    assert not decision.passed
    assert "release 7" in decision.reasons[0]
    assert decision.interval is not None
    assert decision.interval[0] < decision.difference < decision.interval[1] < 0


def test_a_candidate_within_the_margin_passes() -> None:
    slightly_worse = np.where(np.arange(400) % 40 == 0, NOISE, GOOD)
    strict = judge(GateRule(), OUTCOME, slightly_worse, GOOD)
    lenient = judge(GateRule(margin=0.1), OUTCOME, slightly_worse, GOOD)

    assert not strict.passed
    assert lenient.passed


def test_a_candidate_that_collapses_on_one_slice_is_refused_by_name() -> None:
    slices = np.array(["A", "B"] * 200, dtype=object)
    broken = np.where(slices == "B", 1 - GOOD, GOOD)
    decision = judge(GateRule(slice_floor=0.5), OUTCOME, broken, slices=slices)

    assert decision.slices["A"] > 0.8
    assert any("on B" in reason for reason in decision.reasons)


def test_a_metric_that_should_be_low_is_judged_the_other_way_round() -> None:
    rule = GateRule(metric="brier", floor=0.25)

    assert judge(rule, OUTCOME, GOOD, NOISE).passed
    assert not judge(rule, OUTCOME, NOISE, GOOD).passed


def test_scores_that_are_not_numbers_do_not_pass() -> None:
    assert not judge(GateRule(floor=0.5), np.zeros(50), np.full(50, np.nan)).passed


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "brier"])
@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), margin=st.floats(0, 0.2))
def test_whatever_passes_is_never_worse_than_the_current_release_by_more_than_the_margin(
    metric: str, seed: int, margin: float
) -> None:
    random = np.random.default_rng(seed)
    outcome = (random.random(60) < 0.5).astype(float)
    candidate, current = random.random(60), random.random(60)
    rule = GateRule(metric=metric, floor=0.0 if metric == "roc_auc" else 99.0, margin=margin)  # type: ignore[arg-type]

    decision = judge(rule, outcome, candidate, current)

    loss = (decision.current - decision.candidate) * (1 if rule.higher_is_better else -1)
    assert decision.passed == (loss <= margin)
