"""The checks at every load that cost little: all but a look at each node, which the kernels take as they walk."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from penstock.artifact import program
from penstock.artifact.file import NODE, Header
from penstock.artifact.program import BINARY, Link
from penstock.errors import ArtifactError

Array = np.ndarray[Any, Any]
_EMPTY: dict[str, Array] = {
    "program": np.empty((0, 6), np.int64),
    "constants": np.empty(0),
    "text_sizes": np.empty(0, np.int64),
    "text_ends": np.empty(0, np.int64),
    "text_bytes": np.empty(0, np.uint8),
    "nodes": np.empty(0, NODE),
    "roots": np.empty(0, np.int64),
    "leaf_values": np.empty((0, 1)),
    "bitsets": np.empty((0, 8), np.uint32),
    "base": np.empty(0),
    "coefficients": np.empty((0, 0)),
    "inputs": np.empty(0, np.int64),
}
_OWNED = ("program", "roots", "base", "inputs")
"""Arrays that decide where the kernel reads: copied before they are checked, so that they stay as checked."""


def checked(name: str, header: Header, given: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays as the kernels take them; ArtifactError for any that would lead one out of bounds."""

    def demand(holds: Any, what: str) -> None:
        if not holds:
            raise ArtifactError(f"artifact {name}", expected=what, found="another content")

    for key, array in given.items():
        demand(key in _EMPTY, "only known arrays")
        demand(array.dtype == _EMPTY[key].dtype and array.ndim == _EMPTY[key].ndim, f"array {key!r} of its type")
    parts = {key: given.get(key, empty) for key, empty in _EMPTY.items()}
    parts |= {key: np.array(parts[key]) for key in _OWNED}
    kinds = tuple(feature.kind for feature in header.features)
    program.check(name, parts, header.slots, kinds)
    outputs, link = header.outputs, header.link
    demand(link in Link.__members__, "a known link")
    demand(header.kind == "classifier" or link in ("IDENTITY", "LOG"), "a regressor's link")
    demand(outputs == 1 or (header.kind == "classifier" and Link[link] not in BINARY), "one output")
    demand(1 <= outputs <= 2**20 and parts["base"].shape == (outputs,), "one base score per output")
    demand(header.divisor > 0, "a divisor above zero")
    if header.engine == "trees":
        roots, values = parts["roots"], parts["leaf_values"]
        demand(len(roots) > 1 and roots[0] == 0 and roots[-1] == len(parts["nodes"]), "trees that fill their nodes")
        demand(np.all(np.diff(roots) > 0) and np.all(np.diff(roots) < 2**32), "trees that are not empty")
        demand(parts["bitsets"].shape[1] == 8, "sets of 256 categories")
        demand(values.shape[1] == outputs or not len(values), "one leaf value per output")
    else:
        inputs = parts["inputs"]
        demand(parts["coefficients"].shape == (outputs, len(inputs)), "one coefficient per output and input")
        demand(np.all((inputs >= 0) & (inputs < header.slots)), "inputs among the slots")
    return parts
