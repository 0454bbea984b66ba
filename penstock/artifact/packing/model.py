"""What packing an estimator gives, and by what name scikit-learn's own estimators are known."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from penstock.artifact.file import Scalar
from penstock.artifact.program import Link
from penstock.errors import UnsupportedEstimator


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


def model_classes(estimator: Any) -> tuple[Scalar, ...]:
    """The classes in the order of the probabilities, as JSON scalars; UnsupportedEstimator for several outputs."""
    classes = estimator.classes_
    if isinstance(classes, list):
        raise UnsupportedEstimator(f"estimator {type(estimator).__name__}", expected="one output", found="several")
    made = tuple(np.asarray(classes).tolist())
    if not all(isinstance(value, bool | int | float | str) for value in made):
        raise UnsupportedEstimator("classes", expected="numbers or text", found=repr(made))
    return made
