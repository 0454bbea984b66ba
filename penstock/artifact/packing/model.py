"""What packing an estimator gives, and by what name scikit-learn's own estimators are known."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from penstock.artifact.file import Scalar
from penstock.artifact.program import BINARY, Link
from penstock.errors import UnsupportedEstimator


@dataclass(frozen=True)
class Model:
    """A packed estimator: its engine, its link, and the arrays that `program` describes.

    - `single`: its library computes and answers in float32.
    - `explains`: the models that it asks whose mean raw score is explained instead of its own, as in a calibration.
    """

    engine: Literal["trees", "linear", "slots"]
    kind: Literal["classifier", "regressor"]
    link: Link
    arrays: dict[str, np.ndarray[Any, Any]]
    divisor: float = 1.0
    mean_of: float = 1.0
    factor: float = 1.0
    single: bool = False
    explains: tuple[int, ...] = ()

    @property
    def outputs(self) -> int:
        """How many raw scores a row has."""
        return len(self.arrays["base"])

    @property
    def columns(self) -> int:
        """How many columns a prediction has."""
        return 2 if self.link in BINARY else self.outputs


def sklearn_name(thing: Any) -> str:
    """The class name if the class is scikit-learn's own; "" for any other, subclasses included."""
    kind = type(thing)
    return kind.__name__ if kind.__module__.partition(".")[0] == "sklearn" else ""


_PUBLIC = {
    "lightgbm.sklearn": "lightgbm.",
    "lightgbm.basic": "lightgbm.",
    "xgboost.sklearn": "xgboost.",
    "xgboost.core": "xgboost.",
    "catboost.core": "catboost.",
}


def public_name(thing: Any) -> str:
    """`sklearn_name`, and `lightgbm.LGBMClassifier` and its like for the classes of libraries that are packed."""
    kind = type(thing)
    prefix = _PUBLIC.get(kind.__module__)
    return f"{prefix}{kind.__name__}" if prefix else sklearn_name(thing)


def classifies(estimator: Any) -> bool:
    """Whether a fitted estimator has classes. CatBoost's regressors have none of them."""
    return len(getattr(estimator, "classes_", ())) > 0


def fitted_names(estimator: Any) -> list[str] | None:
    """The names of the columns that an estimator was fitted to; None where these had none."""
    found = getattr(estimator, "feature_names_in_", None)
    if found is None and public_name(estimator) == "lightgbm.Booster":
        found = estimator.feature_name()
    if found is None and public_name(estimator) == "xgboost.Booster":
        found = estimator.feature_names
    if found is None and public_name(estimator).startswith("catboost."):
        found = estimator.feature_names_
    names = None if found is None else [str(name) for name in found]
    # What LightGBM and CatBoost call the columns of a matrix.
    numbered = [[f"{prefix}{at}" for at in range(len(names or ()))] for prefix in ("Column_", "")]
    return None if names in numbered else names


def fitted_count(estimator: Any) -> int | None:
    """How many columns an estimator was fitted to; None where it does not say."""
    name = public_name(estimator)
    if name == "lightgbm.Booster":
        return int(estimator.num_feature())
    if name == "xgboost.Booster":
        return int(estimator.num_features())
    if name.startswith("catboost."):  # one from a file has no n_features_in_
        return len(estimator.feature_names_)
    return getattr(estimator, "n_features_in_", None)


def model_classes(estimator: Any, model: Model | None = None) -> tuple[Scalar, ...]:
    """The classes in the order of the probabilities, as JSON scalars; UnsupportedEstimator for several outputs.

    A booster knows its classes by number.
    """
    if model is not None and not hasattr(estimator, "classes_"):
        return tuple(range(model.columns))
    classes = estimator.classes_
    if isinstance(classes, list):
        raise UnsupportedEstimator(f"estimator {type(estimator).__name__}", expected="one output", found="several")
    made = tuple(np.asarray(classes).tolist())
    if not all(isinstance(value, bool | int | float | str) for value in made):
        raise UnsupportedEstimator("classes", expected="numbers or text", found=repr(made))
    return made
