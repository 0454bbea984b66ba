"""A packed model: opened by mmap, checked, and asked for predictions."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from model_tools import artifact_file, kernel_numpy, program
from model_tools.artifact_file import NODE, Header, Scalar
from model_tools.contract import Feature
from model_tools.errors import ArtifactError, ContractError
from model_tools.kernel_numpy import INPUTS, LEAVES, NOT_CANONICAL, OUT_OF_BOUNDS, PREDICTION, RAW
from model_tools.program import BINARY, Link

try:
    from model_tools import _kernel  # type: ignore[attr-defined]  # built only where a compiler is there
except ImportError:
    _kernel = None

Array = np.ndarray[Any, Any]
Columns = Mapping[str, Array]
Engine = Literal["auto", "c", "numpy"]
_EMPTY = {
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


def compiled() -> bool:
    """Whether the C kernel is there."""
    return _kernel is not None


def load(path: str | Path, *, engine: Engine = "auto") -> "Artifact":
    """The model of the file; ArtifactError for a truncated, tampered or foreign file or another format version.

    `engine` is for tests: `c` and `numpy` give the same bits, `auto` takes C where it was built.
    """
    path = Path(path)
    header, arrays = artifact_file.read(path)
    if header.engine == "skops":
        from model_tools.skops_artifact import SkopsArtifact

        return SkopsArtifact(path, header, arrays)
    return Artifact(path, header, arrays, engine)


class Artifact:
    """A loaded model. `features`, `metadata`, `kind`, `classes` and `estimator` are as packed."""

    def __init__(self, path: Path, header: Header, arrays: Mapping[str, Array], engine: Engine = "auto") -> None:
        self.path = path
        self.features: tuple[Feature, ...] = header.features
        self.metadata: dict[str, Any] = header.metadata
        self.kind: Literal["classifier", "regressor"] = header.kind
        self.classes: tuple[Scalar, ...] = header.classes
        self.estimator = header.estimator
        self._names = tuple(feature.name for feature in header.features)
        if not self._names or len(set(self._names)) != len(self._names):
            raise ArtifactError(f"artifact {path}", expected="features with different names", found=str(self._names))
        self._start(header, arrays, engine)

    def _start(self, header: Header, arrays: Mapping[str, Array], engine: Engine) -> None:
        parts = _checked(str(self.path), header, arrays)
        kernel = kernel_numpy.Kernel if engine == "numpy" or (engine == "auto" and _kernel is None) else _kernel.Kernel
        self._program, self._constants = parts["program"], parts["constants"]
        self._dictionaries = program.dictionaries(str(self.path), parts)
        link = Link[header.link]
        self._columns = 2 if link in BINARY else header.outputs
        self._outputs, self._trees, self._slots = header.outputs, max(len(parts["roots"]) - 1, 0), header.slots
        self._first = self._names[0]
        self._kernel = kernel(
            names=self._names,
            dictionaries=self._dictionaries,
            **{name: parts[name] for name in ("program", "constants", "nodes", "roots", "leaf_values", "bitsets")},
            **{name: parts[name] for name in ("base", "coefficients", "inputs")},
            slots=header.slots,
            outputs=header.outputs,
            columns=self._columns,
            link=int(link),
            divisor=header.divisor,
            linear=header.engine == "linear",
        )

    def predict(self, columns: Columns) -> Array:
        """What scikit-learn's `predict_proba` (n, classes) or `predict` (n,) gives for the same n rows.

        `columns` holds one 1-d array per feature: float64 (NaN where missing), or text (None or NaN where
        missing). ContractError names a missing, extra or wrongly shaped column, and a value that
        scikit-learn would refuse.
        """
        rows = self._rows(columns)
        shape = (rows,) if self.kind == "regressor" else (rows, self._columns)
        return self._run(columns, np.empty(shape), PREDICTION, rows)

    def raw(self, columns: Columns) -> Array:
        """The scores (n, outputs) before the link function; for forests the averaged leaf values."""
        rows = self._rows(columns)
        return self._run(columns, np.empty((rows, self._outputs)), RAW, rows)

    def leaves(self, columns: Columns) -> Array:
        """The node numbers (n, trees) of the reached leaves as scikit-learn's `apply` numbers them."""
        rows = self._rows(columns)
        return self._run(columns, np.empty((rows, self._trees), np.int64), LEAVES, rows)

    def inputs(self, columns: Columns) -> Array:
        """The slots (n, slots) that the estimator reads, after all transformers."""
        rows = self._rows(columns)
        return self._run(columns, np.empty((rows, self._slots)), INPUTS, rows)

    def _rows(self, columns: Columns) -> int:
        try:
            return len(columns[self._first])
        except (KeyError, TypeError):
            return 0

    def _run(self, columns: Columns, out: Array, mode: int, rows: int) -> Array:
        status = self._kernel.run(columns, out, mode, rows)
        if status == 0:
            return out
        if status == NOT_CANONICAL:
            columns = canonical(self.features, columns)
            status = self._kernel.run(columns, out, mode, rows)
        if status == OUT_OF_BOUNDS:
            raise ArtifactError(f"artifact {self.path}", expected="nodes inside their tree", found="a damaged tree")
        if status:
            raise self._refusal(status - 1, columns)
        return out

    def _refusal(self, at: int, columns: Columns) -> ContractError:
        op, _, _, start, _, feature = self._program[at].tolist()
        name = self.features[feature].name
        values = columns[name]
        if op == program.Op.KNOWN:
            known = self._known(at)
            found = next((value for value in values.tolist() if value not in known), None)
            return ContractError(f"column {name!r}", expected="a category seen in training", found=repr(found))
        bad = [v for v in values.tolist() if not isinstance(v, float) or math.isinf(v) or (start != 1 and v != v)]
        expected = "finite numbers (or NaN)" if start == 1 else "finite numbers"
        return ContractError(f"column {name!r}", expected=expected, found=repr(bad[0]) if bad else "too large a number")

    def _known(self, at: int) -> set[Any]:
        """The categories that the KNOWN instruction lets through."""
        _, source, _, start, _, _ = self._program[at].tolist()
        maker = next(row for row in self._program[:at][::-1].tolist() if row[2] == source)
        if maker[0] == program.Op.TEXT:
            return set(self._dictionaries[maker[3]])
        return set(self._constants[maker[3] : maker[3] + maker[4]].tolist()) if start >= 0 else set()


def canonical(features: tuple[Feature, ...], columns: Columns) -> dict[str, Array]:
    """The columns as the kernel takes them: float64, or object of str, None and NaN, all of one length.

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
    if array.dtype.kind == "U":
        return array.astype(object)
    if array.dtype.kind in "OT":
        array = array.astype(object)
        wrong = [
            v for v in array.tolist() if not (v is None or isinstance(v, str) or (isinstance(v, float) and v != v))
        ]
        if not wrong:
            return array
        raise ContractError(thing, expected="text, None or NaN", found=repr(wrong[0]))
    raise ContractError(thing, expected="text", found=f"dtype {array.dtype}")


def _checked(name: str, header: Header, given: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays as the kernel takes them, after all checks that do not need a look at every node."""

    def demand(holds: object, what: str) -> None:
        if not holds:
            raise ArtifactError(f"artifact {name}", expected=what, found="another content")

    for key, array in given.items():
        demand(key in _EMPTY, "only known arrays")
        demand(array.dtype == _EMPTY[key].dtype and array.ndim == _EMPTY[key].ndim, f"array {key!r} of its type")
    parts = {
        key: np.array(given[key]) if key in given and key in _OWNED else given.get(key, _EMPTY[key]) for key in _EMPTY
    }
    program.check(
        name,
        parts["program"],
        parts["constants"],
        header.slots,
        tuple(feature.kind for feature in header.features),
        len(parts["text_sizes"]),
    )
    outputs = header.outputs
    demand(header.link in Link.__members__, "a known link")
    demand(header.kind == "classifier" or header.link in ("IDENTITY", "LOG"), "a regressor's link")
    demand(header.divisor > 0, "a divisor above zero")
    demand(1 <= outputs <= 2**20 and parts["base"].shape == (outputs,), "one base score per output")
    demand(outputs == 1 or (Link[header.link] not in BINARY and header.kind == "classifier"), "fewer outputs")
    if header.engine == "trees":
        roots, nodes = parts["roots"], parts["nodes"]
        demand(len(roots) > 1 and roots[0] == 0 and roots[-1] == len(nodes), "trees that fill their nodes")
        demand(np.all(np.diff(roots) > 0) and np.all(np.diff(roots) < 2**32), "trees that are not empty")
        demand(parts["bitsets"].shape[1] == 8, "sets of 256 categories")
        demand(parts["leaf_values"].shape[1] == outputs or not len(parts["leaf_values"]), "one leaf value per output")
    else:
        inputs, coefficients = parts["inputs"], parts["coefficients"]
        demand(coefficients.shape == (outputs, len(inputs)), "one coefficient per output and input")
        demand(np.all((inputs >= 0) & (inputs < header.slots)), "inputs among the slots")
    return parts
