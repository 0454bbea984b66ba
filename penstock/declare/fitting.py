"""What `Model(fit=...)` is handed: the training rows in the order of time, and splits of them that look forwards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from penstock.errors import PenstockError

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class FitRows:
    """n training rows, the earliest first. No held-out row is among them.

    - `frame`: the features, as an estimator is fitted to them otherwise (pandas; text as categories).
    - `outcome`: float64, of a classifier the index of the class. `weights`: float64, of a model with `sample_weight`.
    - `asked_at`: datetime64[us] in UTC. `period`: the name of the period of each row, such as 2026-10.
    """

    frame: Any
    outcome: Array
    asked_at: Array
    period: Array
    weights: Array | None = None

    @property
    def periods(self) -> list[str]:
        """The periods that have rows, the earliest first."""
        return list(dict.fromkeys(self.period.tolist()))

    def split(self, last: int = 1) -> tuple[Array, Array]:
        """The places of the rows before the `last` periods, and of those in them, by which to stop or tune."""
        periods = self.periods
        if not 0 < last < len(periods):
            raise self._too_few(f"more than {last} periods, and last above 0", periods)
        later = np.isin(self.period, periods[-last:])
        return np.flatnonzero(~later), np.flatnonzero(later)

    def folds(self, count: int) -> list[tuple[Array, Array]]:
        """Pairs of places, for `cv=` of scikit-learn: each of the last `count` periods, after those before."""
        periods = self.periods
        if not 0 < count < len(periods):
            raise self._too_few(f"more than {count} periods, and count above 0", periods)
        place = np.searchsorted(periods, self.period)
        first = len(periods) - count
        return [(np.flatnonzero(place < at), np.flatnonzero(place == at)) for at in range(first, len(periods))]

    def _too_few(self, expected: str, periods: Sequence[str]) -> PenstockError:
        found = f"{len(periods)}: {', '.join(periods)}"
        return PenstockError("periods of the training rows", expected=expected, found=found, todo="Widen `window`.")


@dataclass(frozen=True)
class FitResult:
    """What a fit function may return instead of the fitted estimator alone.

    - `parameters`: what was chosen, name -> value. `curves`: name -> a value per iteration. Both are shown in the card.
    """

    estimator: Any
    parameters: Mapping[str, Any] = field(default_factory=dict)
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
