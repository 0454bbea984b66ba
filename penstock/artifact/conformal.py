"""How sure a model is: split-conformal intervals of a regressor, and sets of classes of a classifier."""

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import numpy as np


class Conformal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What makes predictions hold the outcome in a share `level` of all rows like those that were held out.

    `quantile`: of the errors on `rows` held-out rows: |outcome - prediction|, or 1 less the probability of what
    happened. See Vovk et al., Algorithmic Learning in a Random World, 2005; Lei et al., 2018.
    """

    level: float
    quantile: float
    rows: int

    def intervals(self, predicted: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        """The ends (n, 2) of the intervals around n predicted values."""
        import numpy as np

        return np.column_stack([predicted - self.quantile, predicted + self.quantile])

    def sets(self, predicted: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        """Which classes (n, k) are in the sets, of probabilities (n, k)."""
        held: np.ndarray[Any, Any] = 1.0 - predicted <= self.quantile
        return held
