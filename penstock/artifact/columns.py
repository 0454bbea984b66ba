"""The columns of a prediction, as the kernels take them."""

import math
from typing import Any

import numpy as np

from penstock.contract.contract import Columns, Feature
from penstock.errors import ContractError

Array = np.ndarray[Any, Any]


def canonical(features: tuple[Feature, ...], columns: Columns) -> dict[str, Array]:
    """The columns as float64, or as objects that are str, None or NaN, all of one length.

    ContractError names the first column that is missing, extra, or of the wrong shape or type.
    """
    names = [feature.name for feature in features]
    for name in columns:
        if name not in names:
            raise ContractError(f"column {name!r}", expected=f"only {', '.join(names)}", found="this one too")
    made: dict[str, Array] = {}
    for feature in features:
        thing = f"column {feature.name!r}"
        if feature.name not in columns:
            raise ContractError(thing, expected=f"{feature.kind} values", found="no such column")
        array = np.asarray(columns[feature.name])
        rows = len(made[names[0]]) if made else len(array) if array.ndim else 0
        if array.shape != (rows,):
            raise ContractError(thing, expected=f"a 1-d array of {rows} values", found=f"shape {array.shape}")
        made[feature.name] = _numbers(thing, array) if feature.kind == "number" else _texts(thing, array)
    return made


def _numbers(thing: str, array: Array) -> Array:
    if array.dtype.kind in "fiub":
        return np.ascontiguousarray(array, dtype=np.float64)
    raise ContractError(thing, expected="numbers (float64)", found=f"dtype {array.dtype}")


def _texts(thing: str, array: Array) -> Array:
    if array.dtype.kind not in "UOT":
        raise ContractError(thing, expected="text", found=f"dtype {array.dtype}")
    made = array.astype(object)
    for value in made.tolist():
        if not (value is None or isinstance(value, str) or (isinstance(value, float) and math.isnan(value))):
            raise ContractError(thing, expected="text, None or NaN", found=repr(value))
    return made
