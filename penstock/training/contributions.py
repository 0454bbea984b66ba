"""What features contribute to predictions of held-out rows: for the card, beside the permutation importances."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from penstock.artifact.native import Artifact, best_places
from penstock.training.plots import FAINT, INK, png

Array = np.ndarray[Any, Any]
EXACT, COMPARED = 500, 30
"""Held-out rows that are explained, exactly or in comparison with training rows."""
COMPARED_SECONDS = 60.0
"""Fewer are compared where COMPARED would take longer."""
MOST_SHOWN = 20
FEWEST_LINES = 7
"""The plot is at least as high as for this number of features: the text beside its colours needs that."""
LONGEST_NAME = 40
LEVELS = 60
"""Steps of contributions; points of one step stand beside each other."""


@dataclass(frozen=True)
class HeldOutContributions:
    """The contributions (n, features) to the scores of n held-out rows, and the features' values.

    Of two classes the second is explained, of several the predicted one; of several values the first.
    """

    names: tuple[str, ...]
    values: Mapping[str, Array]
    contributions: Array

    def mean_amounts(self) -> dict[str, float]:
        """Feature -> mean absolute contribution."""
        return dict(zip(self.names, np.abs(self.contributions).mean(axis=0).tolist(), strict=True))


def held_out_contributions(artifact: Artifact, vectors: Mapping[str, Array]) -> HeldOutContributions:
    """The contributions to the predictions of evenly spaced held-out rows."""
    names = tuple(feature.name for feature in artifact.features)
    count = len(vectors[names[0]])

    def at(rows: int) -> dict[str, Array]:
        places = np.unique(np.linspace(0, count - 1, min(rows, count)).astype(np.int64))
        return {name: vectors[name][places] for name in names}

    began = time.monotonic()
    exact = artifact.explain(at(1)).method == "exact"
    affordable = int(COMPARED_SECONDS / max(time.monotonic() - began, 1e-3))
    rows = at(EXACT if exact else max(min(COMPARED, affordable), 1))
    found = artifact.explain(rows).contributions
    outputs = found.shape[1]
    place = np.full(len(found), outputs - 1 if artifact.kind == "classifier" else 0)
    if outputs > 2 and artifact.kind == "classifier":
        place = best_places(artifact, artifact.predict(rows))
    return HeldOutContributions(names, rows, found[np.arange(len(found)), place])


def contributions_plot(
    found: HeldOutContributions, importances: Mapping[str, tuple[float, float]], metric: str
) -> bytes:
    """Permutation importances, and beside them a point for each row and feature: what the feature contributed, by the
    rank of its value. The same rows give the same bytes."""
    amounts = found.mean_amounts()
    shown = sorted(found.names, key=lambda name: (-amounts[name], name))[:MOST_SHOWN]
    figure = Figure(figsize=(13, 1.4 + 0.32 * max(len(shown), FEWEST_LINES)))
    labels = [name if len(name) <= LONGEST_NAME else f"{name[:24]}…{name[-15:]}" for name in shown]
    longest = max(map(len, labels))
    figure.subplots_adjust(
        left=min(0.02 + 0.006 * longest, 0.3), right=0.94, bottom=0.6 / figure.get_figheight(), wspace=0.06
    )
    figure.subplots_adjust(top=1 - 0.45 / figure.get_figheight())
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2, 3))
    lines = np.arange(len(shown))
    means, deviations = zip(*(importances[name] for name in shown), strict=True)
    left.barh(lines, means, xerr=deviations, color=INK, ecolor=FAINT, height=0.6)
    left.set(yticks=lines, yticklabels=labels, xlabel=f"what {metric} loses", title="Shuffled among held-out rows")
    left.axvline(0.0, color=FAINT, linewidth=1)
    left.locator_params("x", nbins=5)
    left.invert_yaxis()
    right.axvline(0.0, color=FAINT, linewidth=1)
    width = float(np.abs(found.contributions).max()) or 1.0
    drawn = None
    for line, name in enumerate(shown):
        amount = found.contributions[:, found.names.index(name)]
        ranks, known = _ranks(found.values[name])
        heights = line + _beside(amount, width)
        right.scatter(amount[~known], heights[~known], s=6, color=FAINT, linewidths=0)
        drawn = right.scatter(
            amount[known], heights[known], s=6, c=ranks[known], cmap="coolwarm", vmin=0, vmax=1, linewidths=0
        )
    plural = "" if len(found.contributions) == 1 else "s"
    title = f"Contributions to {len(found.contributions):,} prediction{plural}"
    right.set(xlabel="contribution to the raw score", title=title)
    right.tick_params(left=False)
    if drawn is not None:
        scale = figure.colorbar(
            drawn, cax=figure.add_axes((0.955, right.get_position().y0, 0.008, right.get_position().height))
        )
        scale.set_ticks([0, 1], labels=["low", "high"])
        scale.set_label("value (grey: text or missing)", labelpad=-12)
    return png(figure)


def _ranks(values: Array) -> tuple[Array, Array]:
    """The rank of each value from 0 to 1, equal ones the same, and which are numbers."""
    if values.dtype == object:
        return np.zeros(len(values)), np.zeros(len(values), dtype=bool)
    known = ~np.isnan(values)
    ranks = np.zeros(len(values))
    distinct, places = np.unique(values[known], return_inverse=True)
    counts = np.bincount(places, minlength=len(distinct)) if len(distinct) else np.zeros(0)
    middles = np.cumsum(counts) - counts / 2
    ranks[known] = middles[places] / max(known.sum(), 1)
    return ranks, known


def _beside(amounts: Array, width: float) -> Array:
    """How far each point stands above or below its line, so that near ones do not hide each other."""
    steps = np.round(amounts / width * LEVELS).astype(np.int64)
    made = np.zeros(len(amounts))
    fullest = max(int(np.unique(steps, return_counts=True)[1].max()), 12)
    for step in np.unique(steps):
        places = np.flatnonzero(steps == step)
        turn = np.arange(len(places))
        made[places] = (turn + 1) // 2 * np.where(turn % 2, 1, -1) / fullest * 0.8
    return made
