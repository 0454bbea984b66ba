"""The plot of a candidate on the held-out rows: curves of probabilities, a confusion matrix, or residuals.

scikit-learn is imported where it is used, because Dagster draws other plots in these colours without it.
"""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from penstock.declare.metrics import Task
from penstock.training.evaluation import Evaluation
from penstock.training.metrics import METRICS, Values

INK, SECOND, FAINT = "#1b6ca8", "#c8553d", "#b8b8b8"
BINS = 10
SCATTERED = 2_000
MOST_VALUES = 6


def plot_of(evaluation: Evaluation) -> bytes:
    """The plot that fits the task. The same evaluation gives the same bytes."""
    drawn: dict[Task, Callable[[Evaluation], bytes]] = {
        "binary": _binary,
        "multiclass": _multiclass,
        "regression": _regression,
        "binary_scores": _binary,
        "multiclass_scores": _multiclass,
        "values": _values,
    }
    return drawn[evaluation.task](evaluation)


def png(figure: Figure) -> bytes:
    """The figure as the bytes that cards and Dagster show."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    return buffer.getvalue()


def _binary(evaluation: Evaluation) -> bytes:
    """ROC, and precision by recall, beside those of the base rate; calibration of probabilities in ten equal bins, or
    the decision scores of each class."""
    from sklearn.metrics import precision_recall_curve, roc_curve

    figure = _figure()
    left, middle, right = figure.subplots(1, 3)
    outcome, score, base = evaluation.outcome, evaluation.score, evaluation.base_rate
    if evaluation.task == "binary_scores":
        score, base = score[:, 1], None if base is None else base[:, 1]
    sides = [("candidate", score, INK)]
    if base is not None:
        sides.insert(0, ("base rate", base, SECOND))
    left.plot([0, 1], [0, 1], color=FAINT, linewidth=1)
    middle.axhline(float(outcome.mean()), color=FAINT, linewidth=1)
    for label, scores, color in sides:
        area = METRICS["roc_auc"](outcome, scores)
        if not np.isnan(area):  # there is no curve of outcomes that are all alike
            false_positive, true_positive, _ = roc_curve(outcome, scores)
            left.plot(false_positive, true_positive, color=color, label=f"{label} {area:.3f}")
            precision, recall, _ = precision_recall_curve(outcome, scores, drop_intermediate=True)
            middle.plot(recall, precision, color=color, drawstyle="steps-post")
    left.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC on the held-out period")
    if left.get_legend_handles_labels()[0]:
        left.legend(loc="lower right", frameon=False)
    middle.set(xlabel="recall", ylabel="precision", title="Precision and recall", ylim=(0, 1))
    if evaluation.task == "binary_scores":
        _scores(right, outcome, score)
        return png(figure)
    predicted, observed, count = _calibration(outcome, score)
    right.plot([0, 1], [0, 1], color=FAINT, linewidth=1)
    right.plot(predicted, observed, color=INK, marker="o")
    right.set(xlabel="predicted probability", ylabel="observed share", title="Calibration")
    right.set(xlim=(0, min(1, max(predicted.max(), observed.max()) * 1.15)))
    right.set(ylim=right.get_xlim())
    for x, y, n in zip(predicted, observed, count, strict=True):
        right.annotate(f"{n:,.0f}", (x, y), textcoords="offset points", xytext=(5, -10), fontsize=7)
    return png(figure)


def _multiclass(evaluation: Evaluation) -> bytes:
    """For the rows of each class, the share that each class was predicted for; and how often the predicted class is
    right, by its probability."""
    from sklearn.metrics import confusion_matrix

    figure = _figure()
    left, right = figure.subplots(1, 2)
    score = evaluation.score
    scored = evaluation.task == "multiclass_scores"
    best = score[:, 0].astype(int) if scored else score.argmax(axis=1)
    score = score[:, 1:] if scored else score
    classes = score.shape[1]
    actual = evaluation.outcome.astype(int)
    counts = confusion_matrix(actual, best, labels=range(classes))
    left.imshow(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        left.annotate(f"{count:,.0f}", (column, row), ha="center", va="center", fontsize=8)
    left.set(xlabel="predicted class", ylabel="actual class", title="Confusion on the held-out period")
    left.set(xticks=range(classes), yticks=range(classes))
    if scored:
        greatest = np.sort(score, axis=1)
        _scores(right, (best == actual).astype(np.float64), greatest[:, -1] - greatest[:, -2])
        right.set(xlabel="greatest score less the next", title="Margin where wrong (grey) and right")
        return png(figure)
    predicted, observed, _ = _calibration((best == actual).astype(np.float64), score.max(axis=1))
    right.plot([0, 1], [0, 1], color=FAINT, linewidth=1)
    right.plot(predicted, observed, color=INK, marker="o")
    right.set(xlabel="probability of the predicted class", ylabel="share that is right", title="Confidence")
    return png(figure)


def _regression(evaluation: Evaluation) -> bytes:
    """Predicted beside actual, the residuals by what was predicted, and their histogram."""
    figure = _figure()
    left, middle, right = figure.subplots(1, 3)
    rows = np.linspace(0, len(evaluation.outcome) - 1, min(SCATTERED, len(evaluation.outcome))).astype(int)
    outcome, score = evaluation.outcome[rows], evaluation.score[rows]
    residual = evaluation.outcome - evaluation.score
    points: dict[str, Any] = {"marker": ".", "linestyle": "", "color": INK, "alpha": 0.3, "markersize": 4}
    ends = [float(min(outcome.min(), score.min())), float(max(outcome.max(), score.max()))]
    left.plot(ends, ends, color=FAINT, linewidth=1)
    left.plot(score, outcome, **points)
    left.set(xlabel="predicted", ylabel="actual", title="Held-out period")
    middle.axhline(0.0, color=FAINT, linewidth=1)
    middle.plot(score, outcome - score, **points)
    middle.set(xlabel="predicted", ylabel="actual less predicted", title="Residuals")
    right.hist(np.clip(residual, *np.percentile(residual, [0.5, 99.5])), bins=40, color=INK)
    right.axvline(float(residual.mean()), color=SECOND, label=f"mean {residual.mean():.3g}")
    right.set(xlabel="actual less predicted", ylabel="rows", title="Residuals, all rows")
    right.legend(frameon=False)
    return png(figure)


def _values(evaluation: Evaluation) -> bytes:
    """Predicted beside actual for each value, up to the first six."""
    shown = evaluation.values[:MOST_VALUES]
    figure = Figure(figsize=(13, 4 * -(-len(shown) // 3)))
    figure.subplots_adjust(left=0.05, right=0.985, bottom=0.14, top=0.9, wspace=0.22, hspace=0.35)
    rows = np.linspace(0, len(evaluation.outcome) - 1, min(SCATTERED, len(evaluation.outcome))).astype(int)
    for at, name in enumerate(shown):
        axes = figure.add_subplot(-(-len(shown) // 3), min(len(shown), 3), at + 1)
        outcome, score = evaluation.outcome[rows, at], evaluation.score[rows, at]
        ends = [float(min(outcome.min(), score.min())), float(max(outcome.max(), score.max()))]
        axes.plot(ends, ends, color=FAINT, linewidth=1)
        axes.plot(score, outcome, marker=".", linestyle="", color=INK, alpha=0.3, markersize=4)
        axes.set(xlabel="predicted", ylabel="actual", title=name)
    return png(figure)


def _scores(axes: Any, outcome: Values, score: Values) -> None:
    """The decision scores of rows with the outcome 0 and 1."""
    ends = np.histogram_bin_edges(score, bins=40)
    for value, color in ((0.0, FAINT), (1.0, INK)):
        axes.hist(score[outcome == value], bins=ends, color=color, alpha=0.7)
    axes.set(xlabel="decision score", ylabel="rows", title="Scores of the first class (grey) and the second")


def _figure() -> Figure:
    """Room for three plots side by side; laid out by hand, because finding a layout takes as long as drawing."""
    figure = Figure(figsize=(13, 4))
    figure.subplots_adjust(left=0.05, right=0.985, bottom=0.14, top=0.9, wspace=0.22)
    return figure


def _calibration(outcome: Values, score: Values) -> tuple[Values, Values, Values]:
    """Mean score, share of positive outcomes and count per occupied bin of equal width."""
    from sklearn.calibration import calibration_curve

    score = np.clip(score, 0.0, 1.0)  # a mean of trees may be above 1 by a rounding
    observed, predicted = calibration_curve(outcome, score, pos_label=1, n_bins=BINS)
    inner = np.linspace(0.0, 1.0, BINS + 1)[1:-1]
    count = np.bincount(np.searchsorted(inner, score))  # as calibration_curve does, which does not return it
    return predicted, observed, count[count > 0].astype(np.float64)
