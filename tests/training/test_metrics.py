import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from training.metrics import bootstrap_interval, brier, log_loss, roc_auc


@given(seed=st.integers(0, 10_000), rows=st.integers(4, 200), levels=st.integers(1, 50))
def test_metrics_agree_with_scikit_learn_with_and_without_ties(seed: int, rows: int, levels: int) -> None:
    random = np.random.default_rng(seed)
    outcome = (random.random(rows) < 0.4).astype(float)
    outcome[:2] = 0, 1
    score = random.integers(0, levels, rows) / levels

    assert roc_auc(outcome, score) == pytest.approx(reference.roc_auc_score(outcome, score), abs=1e-12)
    assert brier(outcome, score) == pytest.approx(reference.brier_score_loss(outcome, score), abs=1e-12)
    kept = np.clip(score, 1e-15, 1 - 1e-15)
    assert log_loss(outcome, score) == pytest.approx(reference.log_loss(outcome, kept), rel=1e-9)


def test_the_area_is_unknown_where_all_outcomes_are_alike() -> None:
    assert np.isnan(roc_auc(np.ones(5), np.arange(5.0)))


def test_the_interval_holds_the_value_and_repeats_itself() -> None:
    random = np.random.default_rng(1)
    outcome = (random.random(500) < 0.5).astype(float)
    score = outcome * 0.3 + random.random(500)
    first, second = (bootstrap_interval(roc_auc, outcome, score) for _ in range(2))

    assert first == second
    assert first[0] < roc_auc(outcome, score) < first[1]
