"""The plots of a candidate: what their lines and points say of the held-out rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from penstock.training import plots
from penstock.training.evaluation import Evaluation
from penstock.training.metrics import Values, roc_auc
from penstock.training.plots import plot_of, png

Draw = Callable[[Evaluation], Figure]


@pytest.fixture
def draw(monkeypatch: pytest.MonkeyPatch) -> Draw:
    """A function that returns the figure of an evaluation, which is also made to a PNG."""
    figures: list[Figure] = []

    def kept(figure: Figure) -> bytes:
        figures.append(figure)
        return png(figure)

    monkeypatch.setattr(plots, "png", kept)

    def drawn(evaluation: Evaluation) -> Figure:
        assert plot_of(evaluation).startswith(b"\x89PNG")
        return figures[-1]

    return drawn


def binary(outcome: Any, score: Any, base_rate: Any = None) -> Evaluation:
    rate = None if base_rate is None else np.asarray(base_rate, dtype=float)
    return Evaluation("binary", np.asarray(outcome, dtype=float), np.asarray(score, dtype=float), rate, {}, {})


def rows(count: int) -> tuple[Values, Values]:
    random = np.random.default_rng(0)
    score = np.round(random.random(count), 2)  # rounded, so that many rows share a score
    return (random.random(count) < score).astype(float), score


def points(line: Any) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in zip(*line.get_data(), strict=True)]


def test_the_area_under_the_drawn_roc_curve_is_the_metric(draw: Draw) -> None:
    outcome, score = rows(2_000)
    _, line = draw(binary(outcome, score)).axes[0].lines

    false_positive, true_positive = line.get_data()
    assert np.trapezoid(true_positive, false_positive) == pytest.approx(roc_auc(outcome, score))
    assert line.get_label() == f"candidate {roc_auc(outcome, score):.3f}"


def test_rows_of_the_same_score_are_one_step_whatever_their_order(draw: Draw) -> None:
    by_base_rate = draw(binary([1, 1, 0, 0], [0.9, 0.8, 0.2, 0.1], base_rate=[0.5] * 4)).axes

    assert points(by_base_rate[0].lines[1]) == [(0.0, 0.0), (1.0, 1.0)]
    assert by_base_rate[0].lines[2].get_label() == "candidate 1.000"
    assert (1.0, 0.5) in points(by_base_rate[1].lines[1])


def test_the_precision_at_full_recall_is_the_share_of_positives(draw: Draw) -> None:
    outcome, score = rows(500)
    _, line = draw(binary(outcome, score)).axes[1].lines

    recall, precision = line.get_data()
    assert precision[recall == 1.0].min() == pytest.approx(outcome.mean())
    assert (recall[-1], precision[-1]) == (0.0, 1.0)


def test_each_row_counts_in_one_bin_of_the_calibration(draw: Draw) -> None:
    outcome = [0, 0, 1, 1, 1]
    axes = draw(binary(outcome, [0.0, 0.1, 0.1, 0.95, 1.0 + 2e-16])).axes[2]

    assert [text.get_text() for text in axes.texts] == ["3", "2"]
    assert points(axes.lines[1]) == [(pytest.approx(0.2 / 3), pytest.approx(1 / 3)), (pytest.approx(0.975), 1.0)]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_outcomes_that_are_all_alike_have_no_curve_but_a_plot(draw: Draw, value: float) -> None:
    left, middle, right = draw(binary([value] * 9, np.linspace(0.1, 0.9, 9), base_rate=[0.5] * 9)).axes

    assert (len(left.lines), len(middle.lines), left.get_legend()) == (1, 1, None)
    assert {y for _, y in points(right.lines[1])} == {value}


def test_the_confusion_counts_every_row_by_actual_and_predicted_class(draw: Draw) -> None:
    outcome = np.array([0, 0, 1, 0], dtype=float)
    score = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.6, 0.2, 0.2]])
    left, _ = draw(Evaluation("multiclass", outcome, score, None, {}, {})).axes

    assert [text.get_text() for text in left.texts] == ["2", "1", "0", "0", "1", "0", "0", "0", "0"]
    assert left.images[0].get_array().tolist() == [[2 / 3, 1 / 3, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]


@pytest.mark.slow
def test_the_same_evaluation_gives_the_same_bytes() -> None:
    outcome, score = rows(300)
    assert plot_of(binary(outcome, score)) == plot_of(binary(outcome, score))
    values = Evaluation("regression", outcome, score, None, {}, {})
    assert plot_of(values) == plot_of(values)
