from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.declare.metrics import MEASURES
from penstock.declare.model import Bound, GateRule
from penstock.training.gate import Decision, compare, decide, summary_of
from penstock.training.metrics import Values

RANDOM = np.random.default_rng(0)
OUTCOME = (RANDOM.random(400) < 0.3).astype(float)
GOOD = np.clip(OUTCOME * 0.4 + RANDOM.random(400) * 0.6, 0, 1)
NOISE = RANDOM.random(400)


def judge(
    rule: GateRule,
    outcome: Values,
    candidate: Values,
    current: Values | None = None,
    *,
    current_release: int | None = None,
    slices: Any = None,
) -> Decision:
    compared = compare(rule, outcome, candidate, current, slices=slices)
    return decide(compared, current_release=current_release)


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
    decision = judge(GateRule(floor=0.1), OUTCOME, NOISE, GOOD, current_release=7)

    assert not decision.passed
    assert "release 7" in decision.reasons[0]
    assert decision.interval is not None
    assert decision.interval[0] < decision.difference < decision.interval[1] < 0


def test_a_release_of_other_features_is_said_to_be_one() -> None:
    compared = replace(compare(GateRule(floor=0.1), OUTCOME, NOISE, GOOD), other_contract="0123456789abcdef")
    reason = decide(compared, current_release=7).reasons[0]
    assert reason.endswith(
        "; that release was fitted to the features of contract 0123456789ab, and is scored on those of this one"
    )


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
    broken = GOOD.copy()
    broken[7] = np.nan

    assert "its scores are not all numbers" in judge(GateRule(floor=0.1), OUTCOME, broken).reasons


def test_every_declared_metric_has_to_hold_by_itself() -> None:
    squeezed = GOOD * 0.01
    rule = GateRule(floor=0.6, also=(Bound("brier", 0.2, 0.01), Bound("accuracy", 0.5, 0.5)))

    passed, refused = judge(rule, OUTCOME, GOOD, GOOD), judge(rule, OUTCOME, squeezed, GOOD, current_release=3)

    assert passed.passed
    assert [one.metric for one in refused.also] == ["brier", "accuracy"]
    assert refused.candidate == refused.current
    assert [reason.split()[0] for reason in refused.reasons] == ["brier", "brier"]
    assert "does not stay below the ceiling 0.2" in refused.reasons[0]
    assert "is worse than" in refused.reasons[1]


def test_a_regressor_is_judged_by_its_errors() -> None:
    rule = GateRule(metric="rmse", floor=0.5, margin=0.0, also=(Bound("r2", 0.5),))
    actual = RANDOM.normal(size=400)
    close, closer = actual + 0.3 * RANDOM.normal(size=400), actual + 0.1 * RANDOM.normal(size=400)

    assert judge(rule, actual, closer, close).passed
    assert not judge(rule, actual, close, closer).passed
    assert not judge(rule, actual, RANDOM.normal(size=400)).passed
    assert judge(GateRule(metric="r2", floor=0.5), actual[:1], close[:1], closer[:1]).reasons == (
        "r2 is not a number, as of one row or of equal outcomes: expected a number beside 0.5",
    )


def test_the_ledger_tells_the_decision_in_the_words_of_the_gate() -> None:
    decision = judge(GateRule(floor=0.6, also=(Bound("brier", 0.3),)), OUTCOME, GOOD, NOISE, current_release=2)
    stored = msgspec.json.decode(msgspec.json.encode(decision))

    assert summary_of(stored) == decision.summary
    assert "brier" in decision.summary
    assert "release 2" in decision.summary
    of_0_1_0 = {"current_version" if name == "current_release" else name: value for name, value in stored.items()}
    assert summary_of(of_0_1_0) == decision.summary
    assert summary_of({"rollback_from": 4}) == "rollback_from 4"


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

    loss = (decision.current - decision.candidate) * (1 if MEASURES[rule.metric].higher_is_better else -1)
    assert decision.passed == (loss <= margin)


def test_the_interval_is_that_of_the_same_numbers_and_of_no_others() -> None:
    rule, other = GateRule(margin=1.0), np.where(np.arange(400) == 7, 1 - GOOD, GOOD)
    first = judge(rule, OUTCOME, GOOD, NOISE)
    assert judge(rule, OUTCOME, GOOD.copy(), NOISE.copy()) == first
    assert judge(rule, OUTCOME, other, NOISE).interval != first.interval
    assert judge(rule, OUTCOME, GOOD, other).interval != first.interval
    assert judge(GateRule(metric="brier", margin=1.0, floor=1.0), OUTCOME, GOOD, NOISE).interval != first.interval
