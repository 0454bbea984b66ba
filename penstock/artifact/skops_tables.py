"""What a stored estimator is given: a matrix, or a frame where it may know columns by name; and how much it answers."""

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from penstock.artifact.packing.model import sklearn_name
from penstock.artifact.skops_parts import parts
from penstock.contract.contract import Feature

Array = np.ndarray[Any, Any]


def outputs_of(estimator: Any, features: tuple[Feature, ...], trusted: Sequence[str]) -> int:
    """How many values a regressor predicts for one row: for one of zeros, or else of its last step's inputs.

    Text features cannot be made up, zero may be no number for a step, and "passthrough" cannot say its inputs.
    """
    last = _last(estimator)
    if sklearn_name(last) == "MultiOutputRegressor":
        return len(last.estimators_)
    asked = [(last, np.zeros((1, getattr(last, "n_features_in_", 1))))]
    if all(feature.kind == "number" for feature in features):
        zeros = {feature.name: np.zeros(1) for feature in features}
        named = knows_names(estimator, trusted)
        asked.insert(0, (estimator, frame_of(zeros) if named else np.column_stack(list(zeros.values()))))
    for one, table in asked:
        with suppress(Exception), warnings.catch_warnings():  # a team's own code may raise any
            warnings.simplefilter("ignore")  # of names, which the inputs of a last step have not
            return int(np.size(one.predict(table)))
    return 1


def _last(estimator: Any) -> Any:
    """What answers behind the steps before it, also behind those of what a target was transformed for."""
    if hasattr(estimator, "steps"):
        return _last(estimator[-1])
    return _last(estimator.regressor_) if sklearn_name(estimator) == "TransformedTargetRegressor" else estimator


def knows_names(estimator: Any, trusted: Sequence[str]) -> bool:
    """Whether it may choose columns by name, which a matrix does not have: a team's own code was fitted to a frame."""
    if trusted:
        return True
    return hasattr(estimator, "feature_names_in_") and any(parts(estimator, set(), "transformers_"))


def frame_of(columns: Mapping[str, Array]) -> Any:
    """The columns as a pandas frame, in their own dtypes, each by itself as in the frame of the fit: steps that fill in
    numbers could not write into several that are taken out of one matrix."""
    import pandas as pd

    return pd.DataFrame({name: pd.Series(column, dtype=column.dtype) for name, column in columns.items()}, copy=False)


def frame_of_fit(columns: Mapping[str, Array]) -> Any:
    """The frame that estimators are fitted to, with texts as categories: a team's own code reads what it was shown."""
    texts = [name for name, column in columns.items() if column.dtype == object]
    return frame_of(columns).astype(dict.fromkeys(texts, "category"))
