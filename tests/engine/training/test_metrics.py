import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from penstock.declare.metrics import MEASURES, is_perfect
from penstock.training.metrics import METRICS, brier, difference, intervals, log_loss, roc_auc


@pytest.mark.slow
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


@pytest.mark.slow
@given(seed=st.integers(0, 10_000), rows=st.integers(6, 200), classes=st.integers(3, 6))
def test_metrics_of_several_classes_agree_with_scikit_learn(seed: int, rows: int, classes: int) -> None:
    random = np.random.default_rng(seed)
    outcome = np.r_[np.arange(classes), random.integers(0, classes, rows)].astype(float)
    score = random.dirichlet(np.ones(classes), len(outcome))
    labels = list(range(classes))

    found = {name: METRICS[name](outcome, score) for name in ("log_loss", "accuracy", "roc_auc_ovr")}
    assert found["log_loss"] == pytest.approx(reference.log_loss(outcome, score, labels=labels), rel=1e-9)
    assert found["accuracy"] == reference.accuracy_score(outcome, score.argmax(axis=1))
    expected = reference.roc_auc_score(outcome, score, multi_class="ovr", labels=labels)
    assert found["roc_auc_ovr"] == pytest.approx(expected, abs=1e-12)


@given(seed=st.integers(0, 10_000), rows=st.integers(2, 200))
def test_metrics_of_values_agree_with_scikit_learn(seed: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    outcome, score = random.normal(size=rows) * 50, random.normal(size=rows) * 50

    assert METRICS["mae"](outcome, score) == pytest.approx(reference.mean_absolute_error(outcome, score))
    assert METRICS["rmse"](outcome, score) == pytest.approx(reference.root_mean_squared_error(outcome, score))
    assert METRICS["r2"](outcome, score) == pytest.approx(reference.r2_score(outcome, score))


def test_every_metric_that_may_be_declared_is_there() -> None:
    assert set(METRICS) == set(MEASURES)


@pytest.mark.parametrize("name", METRICS)
def test_a_row_that_counts_twice_is_the_same_as_that_row_twice(name: str) -> None:
    random = np.random.default_rng(1)
    rows = 300
    tasks = MEASURES[name].tasks  # type: ignore[index]
    outcome = random.normal(size=rows) if "regression" in tasks else random.integers(0, 2, rows).astype(float)
    score = random.dirichlet(np.ones(3), rows).round(1) if "multiclass" in tasks else random.random(rows).round(2)
    drawn = random.integers(0, rows, rows)
    counts = np.bincount(drawn, minlength=rows).astype(float)

    weighted = METRICS[name].weighted(outcome, score)(counts)  # type: ignore[index]
    assert weighted == pytest.approx(METRICS[name](outcome[drawn], score[drawn]), rel=1e-12)  # type: ignore[index]


def test_the_interval_holds_the_value_and_repeats_itself() -> None:
    random = np.random.default_rng(1)
    outcome = (random.random(500) < 0.5).astype(float)
    score = outcome * 0.3 + random.random(500)
    measured = {"area": roc_auc.weighted(outcome, score), "loss": log_loss.weighted(outcome, score)}
    first, second = (intervals(500, measured) for _ in range(2))

    assert first == second
    assert first["area"][0] < roc_auc(outcome, score) < first["area"][1]
    assert first["loss"][0] < log_loss(outcome, score) < first["loss"][1]


def test_the_difference_to_oneself_is_nothing() -> None:
    outcome, score = np.array([0.0, 1.0, 1.0]), np.array([0.2, 0.4, 0.1])

    assert intervals(3, {"d": difference(brier, outcome, score, score)})["d"] == (0.0, 0.0)


@pytest.mark.parametrize(
    ("metric", "value", "perfect"),
    [
        ("roc_auc", 1.0, True),
        ("roc_auc", 0.9999, False),
        ("log_loss", 0.00001, True),
        ("log_loss", 1.0, False),
        ("r2", 0.99999, True),
        ("mae of arrival", 0.0, True),
        ("r2", None, False),
    ],
)
def test_a_candidate_that_nothing_is_better_than_is_known(metric: str, value: float | None, perfect: bool) -> None:
    assert is_perfect({"judged_by": metric, metric: value}) is perfect


def test_an_error_of_a_small_unit_is_not_perfect_by_its_size() -> None:
    assert not is_perfect({"judged_by": "mae", "mae": 2e-6, "mae_base_rate": 5e-6})
    assert is_perfect({"judged_by": "mae", "mae": 2e-6, "mae_base_rate": 5.0})
