"""What a search may choose, known before the fit: the estimator with each value that its searches try."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from penstock.artifact.packing.model import public_name

_GRIDS = {
    "GridSearchCV": "param_grid",
    "HalvingGridSearchCV": "param_grid",
    "RandomizedSearchCV": "param_distributions",
    "HalvingRandomSearchCV": "param_distributions",
}


class Candidate(NamedTuple):
    """The estimator that a search would answer by, and how to call it in messages."""

    name: str
    estimator: Any


def candidates(estimator: Any) -> Iterator[Candidate]:
    """The estimator once for each value that a search in it tries, the other parameters as they are.

    A distribution's values are not known, and what cannot be copied or set will fail in its fit.
    """
    known = hasattr(estimator, "get_params") and not isinstance(estimator, type)
    parts = {"": estimator, **estimator.get_params(deep=True)} if known else {}
    for path, part in parts.items():
        grids = getattr(part, _GRIDS.get(public_name(part), ""), ())
        for grid in [grids] if isinstance(grids, Mapping) else grids:
            for parameter, values in grid.items():
                for value in values if isinstance(values, list | tuple | np.ndarray) else ():
                    yield from _with(estimator, "__".join(filter(None, (path, "estimator", parameter))), value)


def _with(estimator: Any, parameter: str, value: Any) -> Iterator[Candidate]:
    try:
        made = copy.deepcopy(estimator).set_params(**{parameter: value})
    except Exception:
        return
    yield Candidate(f"{type(estimator).__name__} with {parameter.rpartition('estimator__')[2]}={value!r}", made)
