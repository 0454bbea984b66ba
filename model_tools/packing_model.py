"""What packing an estimator gives, and by what name scikit-learn's own estimators are known."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from model_tools.program import Link


@dataclass(frozen=True)
class Model:
    """A packed estimator: its engine, its link, and the arrays that `program` describes."""

    engine: Literal["trees", "linear"]
    kind: Literal["classifier", "regressor"]
    link: Link
    arrays: dict[str, np.ndarray[Any, Any]]
    divisor: float = 1.0


def sklearn_name(thing: Any) -> str:
    """The class name if the class is scikit-learn's own; "" for any other, subclasses included."""
    kind = type(thing)
    return kind.__name__ if kind.__module__.partition(".")[0] == "sklearn" else ""
