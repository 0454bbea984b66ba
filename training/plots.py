"""Plots as PNG bytes: how a candidate does, and how a table grows."""

from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO

import numpy as np
from matplotlib.dates import DateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from training.evaluation import Evaluation
from training.metrics import Values, roc_auc

BINS = 10
INK, SECOND, FAINT = "#1b6ca8", "#c8553d", "#b8b8b8"


def roc_and_calibration(evaluation: Evaluation) -> bytes:
    """ROC, and precision by recall, beside those of the base rate; calibration of the scores in ten equal bins."""
    figure = Figure(figsize=(13, 4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    left.plot([0, 1], [0, 1], color=FAINT, linewidth=1)
    if evaluation.base_rate is not None:
        area = roc_auc(evaluation.outcome, evaluation.base_rate)
        left.plot(*_roc(evaluation.outcome, evaluation.base_rate), color=SECOND, label=f"base rate {area:.3f}")
    area = roc_auc(evaluation.outcome, evaluation.score)
    left.plot(*_roc(evaluation.outcome, evaluation.score), color=INK, label=f"candidate {area:.3f}")
    left.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC on the held-out month")
    left.legend(loc="lower right", frameon=False)
    middle.axhline(float(evaluation.outcome.mean()), color=FAINT, linewidth=1)
    if evaluation.base_rate is not None:
        middle.plot(*_precision(evaluation.outcome, evaluation.base_rate), color=SECOND, label="base rate")
    middle.plot(*_precision(evaluation.outcome, evaluation.score), color=INK, label="candidate")
    middle.set(xlabel="recall", ylabel="precision", title="Precision and recall", ylim=(0, 1))
    predicted, observed, count = _calibration(evaluation.outcome, evaluation.score)
    right.plot([0, 1], [0, 1], color=FAINT, linewidth=1)
    right.plot(predicted, observed, color=INK, marker="o")
    right.set(xlabel="predicted probability", ylabel="observed share", title="Calibration")
    right.set(xlim=(0, min(1, max(predicted.max(), observed.max()) * 1.15)))
    right.set(ylim=right.get_xlim())
    for x, y, n in zip(predicted, observed, count, strict=True):
        right.annotate(f"{n:,.0f}", (x, y), textcoords="offset points", xytext=(5, -10), fontsize=7)
    return _png(figure)


def history(rows: Sequence[tuple[float, float]], gaps: Sequence[tuple[float, float]], title: str) -> bytes:
    """Rows of a table by publish, and the hours that each one followed the one before; times in Unix seconds."""
    figure = Figure(figsize=(9, 2.6))
    left, right = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.08, right=0.98, bottom=0.2, top=0.86)
    for axes, points, label in ((left, rows, "rows"), (right, gaps, "hours since the publish before")):
        axes.plot(
            [datetime.fromtimestamp(at, UTC) for at, _ in points], [value for _, value in points], "o-", color=INK
        )
        axes.set(title=f"{title}: {label}", ylim=(0, None))
        axes.tick_params(labelsize=7)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(DateFormatter("%d %b %H:%M", tz=UTC))  # type: ignore[no-untyped-call] # matplotlib has no types
    return _png(figure)


def _roc(outcome: Values, score: Values) -> tuple[Values, Values]:
    order = np.argsort(-score, kind="stable")
    hits = np.concatenate([[0.0], np.cumsum(outcome[order])])
    misses = np.concatenate([[0.0], np.cumsum(1 - outcome[order])])
    return misses / max(misses[-1], 1), hits / max(hits[-1], 1)


def _precision(outcome: Values, score: Values) -> tuple[Values, Values]:
    """Recall and precision at every number of rows called positive; the noise of the first few is left out."""
    hits = np.cumsum(outcome[np.argsort(-score, kind="stable")])
    called = np.arange(1, len(outcome) + 1)
    first = min(len(outcome) // 200, len(outcome) - 1)
    return (hits / max(hits[-1], 1))[first:], (hits / called)[first:]


def _calibration(outcome: Values, score: Values) -> tuple[Values, Values, Values]:
    """Mean score, share of positive outcomes and count per occupied bin of equal width."""
    place = np.minimum((score * BINS).astype(int), BINS - 1)
    count = np.bincount(place, minlength=BINS)
    kept = count > 0
    predicted = np.bincount(place, weights=score, minlength=BINS)[kept] / count[kept]
    observed = np.bincount(place, weights=outcome, minlength=BINS)[kept] / count[kept]
    return predicted, observed, count[kept].astype(np.float64)


def _png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    return buffer.getvalue()
