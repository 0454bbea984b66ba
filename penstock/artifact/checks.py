"""The checks at every load that cost little: all but a look at each node, which the kernels take as they walk."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from penstock.artifact import program
from penstock.artifact.file import NODE, Header, Part
from penstock.artifact.program import BINARY, OF_VALUES, Engine, Link
from penstock.errors import ArtifactError

Array = np.ndarray[Any, Any]
_PROGRAM: dict[str, Array] = {
    "program": np.empty((0, 6), np.int64),
    "constants": np.empty(0),
    "text_sizes": np.empty(0, np.int64),
    "text_ends": np.empty(0, np.int64),
    "text_bytes": np.empty(0, np.uint8),
}
_MODEL: dict[str, Array] = {
    "nodes": np.empty(0, NODE),
    "roots": np.empty(0, np.int64),
    "leaf_values": np.empty((0, 1)),
    "bitsets": np.empty((0, 8), np.uint32),
    "base": np.empty(0),
    "coefficients": np.empty((0, 0)),
    "inputs": np.empty(0, np.int64),
    "targets": np.empty(0, np.int64),
}
EXPLAINING: dict[str, Array] = {
    "covers": np.empty(0),
    "players": np.empty(0, np.int64),
    "sharers": np.empty((0, 2), np.int64),
    "means": np.empty(0),
}
"""What only explanations read, of a file that holds it: see `explaining`."""
_OWNED = ("program", "roots", "base", "inputs", "targets")
"""Arrays that decide where the kernel reads: copied before they are checked, so that they stay as checked."""


class KernelModel(NamedTuple):
    """One model as the kernels take it, in the order in which `_kernel.c` reads it."""

    nodes: Array
    roots: Array
    leaf_values: Array
    bitsets: Array
    base: Array
    coefficients: Array
    inputs: Array
    targets: Array
    engine: int
    words: int
    outputs: int
    columns: int
    link: int
    single: bool
    divisor: float
    mean_of: float
    factor: float


def checked(name: str, header: Header, given: Mapping[str, Array]) -> tuple[dict[str, Array], tuple[KernelModel, ...]]:
    """The arrays of the column program and the models, the answering one last, as the kernels take them.

    ArtifactError for any that would lead a kernel out of bounds.
    """
    empty = _PROGRAM | {f"{at}.{key}": value for at in range(len(header.parts)) for key, value in _MODEL.items()}
    empty |= _MODEL
    for key, array in given.items():
        known = EXPLAINING.get(key.rpartition(".")[2]) if header.explaining else None
        known = empty.get(key) if known is None else known
        if known is None:
            _demand(name, False, "only known arrays")
            continue
        fits = array.dtype == known.dtype and array.ndim == known.ndim
        _demand(name, fits, f"array {key!r} of its type")
    arrays = empty | {key: array for key, array in given.items() if key in empty}
    arrays |= {key: np.array(array) for key, array in arrays.items() if key.rpartition(".")[2] in _OWNED}
    _demand(name, header.kind == "classifier" or Link.__members__.get(header.link) in OF_VALUES, "a regressor's link")
    parts = [
        _model(name, header.slots, part, {k: arrays[f"{at}.{k}"] for k in _MODEL})
        for at, part in enumerate(header.parts)
    ]
    last = _model(name, header.slots, header, {key: arrays[key] for key in _MODEL})
    binary = Link[header.link] in BINARY
    _demand(name, last.outputs == 1 or not binary, "one output")
    if header.scores:
        fits = header.kind == "classifier" and last.link == Link.IDENTITY
        _demand(name, fits and last.outputs == (1 if len(header.classes) == 2 else len(header.classes)), "its scores")
    columns = 1 if header.scores else 2
    two = header.threshold is None or (header.threshold.place in (0, 1) and last.columns == columns)
    _demand(name, two, "a threshold between two classes")
    widths = [(part.columns, part.outputs) for part in parts]
    kinds = tuple(feature.kind for feature in header.features)
    program.check(name, arrays, header.slots, kinds, widths, header.vectorizers)
    return {key: arrays[key] for key in _PROGRAM}, (*parts, last)


def _model(name: str, slots: int, part: Part | Header, arrays: dict[str, Array]) -> KernelModel:
    """One model; ArtifactError for arrays that do not belong together."""
    outputs, link = part.outputs, part.link
    _demand(name, link in Link.__members__, "a known link")
    columns = 2 if Link[link] in BINARY else outputs
    _demand(name, outputs == 1 or Link[link] not in BINARY, "one output")
    _demand(name, 1 <= outputs <= 2**20 and arrays["base"].shape == (outputs,), "one base score per output")
    _demand(name, part.divisor > 0 and part.mean_of > 0, "a divisor above zero")
    words = arrays["bitsets"].shape[1]
    if part.engine == "trees":
        roots, values, targets = arrays["roots"], arrays["leaf_values"], arrays["targets"]
        fill = len(roots) > 1 and roots[0] == 0 and roots[-1] == len(arrays["nodes"])
        _demand(name, fill, "trees that fill their nodes")
        _demand(name, np.all(np.diff(roots) > 0) and np.all(np.diff(roots) < 2**32), "trees that are not empty")
        _demand(name, words >= 8 and words % 8 == 0 and words <= 2**20, "sets of 256 categories, or a multiple")
        _demand(name, values.shape[1] == outputs or not len(values), "one leaf value per output")
        _demand(name, not len(targets) or len(targets) == len(roots) - 1, "one target per tree")
        _demand(name, np.all((targets >= 0) & (targets < outputs)), "targets among the outputs")
    else:
        inputs = arrays["inputs"]
        fits = part.engine == "linear" and arrays["coefficients"].shape == (outputs, len(inputs))
        fits = fits or (part.engine == "slots" and len(inputs) == outputs)
        _demand(name, fits, "one coefficient per output and input")
        _demand(name, np.all((inputs >= 0) & (inputs < slots)), "inputs among the slots")
    return KernelModel(
        **arrays,
        engine=int(Engine[part.engine]),
        words=words,
        outputs=outputs,
        columns=columns,
        link=int(Link[link]),
        single=part.single,
        divisor=part.divisor,
        mean_of=part.mean_of,
        factor=part.factor,
    )


def _demand(name: str, holds: Any, what: str) -> None:
    if not holds:
        raise ArtifactError(f"artifact {name}", expected=what, found="another content")
