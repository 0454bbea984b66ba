"""What a model file holds for explanations: a sample of training rows to compare with, and the means of the slots."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from penstock.artifact.columns import canonical
from penstock.artifact.file import Explaining, Header
from penstock.artifact.native import Artifact
from penstock.contract.contract import Columns
from penstock.errors import ContractError

Array = np.ndarray[Any, Any]
STORED_ROWS = 100
CHUNK = 10_000


def with_background(header: Header, arrays: Mapping[str, Array], given: Columns) -> tuple[Header, dict[str, Array]]:
    """The header and arrays of a model file with what its explanations need.

    Slots are averaged over all given rows; STORED_ROWS of them, evenly spaced, are stored.
    """
    rows = canonical(header.features, given)
    count = len(rows[header.features[0].name])
    if not count:
        raise ContractError("background of an explained model", expected="at least one row", found="none")
    stored = np.unique(np.linspace(0, count - 1, min(STORED_ROWS, count)).astype(np.int64))
    sample = {name: [_plain(value) for value in values[stored].tolist()] for name, values in rows.items()}
    parts = header.explaining.parts if header.explaining else ()
    header = msgspec.structs.replace(header, explaining=Explaining(sample, parts))
    if header.engine in ("skops", "catboost"):
        return header, dict(arrays)
    artifact = Artifact(Path("that is being packed"), header, arrays)
    total = np.zeros(header.slots)
    with np.errstate(all="ignore"):  # slots of numbers that are missing, which no linear model reads
        for first in range(0, count, CHUNK):
            total += artifact.inputs({name: values[first : first + CHUNK] for name, values in rows.items()}).sum(axis=0)
    return header, {**arrays, "means": total / count}


def _plain(value: Any) -> float | str | None:
    if isinstance(value, float):
        return None if math.isnan(value) else value if math.isfinite(value) else str(value)
    return None if value is None else str(value)
