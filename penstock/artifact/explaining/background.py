"""Training rows inside a model file: the sample that explanations compare with."""

import math
from typing import Any

import numpy as np

from penstock.artifact.file import Explaining
from penstock.contract.contract import Feature

Array = np.ndarray[Any, Any]


def columns_of(features: tuple[Feature, ...], explaining: Explaining) -> dict[str, Array]:
    """The stored rows as feature columns."""
    made: dict[str, Array] = {}
    for feature in features:
        values = explaining.background[feature.name]
        if feature.kind == "number":
            made[feature.name] = np.array([math.nan if value is None else float(value) for value in values])
        else:
            made[feature.name] = np.array(values, dtype=object)
    return made
