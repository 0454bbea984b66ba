"""A packed model that the C kernel or numpy walks."""

import math
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from penstock.artifact import kernel_numpy, program
from penstock.artifact.checks import EXPLAINING, checked
from penstock.artifact.columns import canonical
from penstock.artifact.fallback import Fallback
from penstock.artifact.file import Header, Scalar
from penstock.artifact.kernel_numpy import INPUTS, LEAVES, PREDICTION, RAW
from penstock.artifact.program import Op
from penstock.artifact.program_numpy import NOT_CANONICAL, OUT_OF_BOUNDS, run_program
from penstock.artifact.scores import labelled
from penstock.artifact.terms import Terms
from penstock.contract.contract import Columns, Feature
from penstock.errors import ArtifactError, ContractError

if TYPE_CHECKING:
    from penstock.artifact.explaining.explainer import Explainer, Explanation, Source

try:
    from penstock.artifact import _kernel
except ImportError:
    _kernel = None  # type: ignore[assignment]  # no compiler was there


MOST_COMPARED = 10_000
"""About the number of rows that are scored to explain one row that cannot be explained exactly: 10 to 50 ms."""

Array = np.ndarray[Any, Any]
Engine = Literal["auto", "c", "numpy"]


class Refusal(NamedTuple):
    """A value that a model cannot take: its row, the feature, and what was expected."""

    row: int
    feature: str
    expected: str
    value: Any


def compiled() -> bool:
    """Whether the C kernel is there."""
    return _kernel is not None


class Artifact:
    """A loaded model.

    - `estimator`: the class name of what was packed. `threshold`: what decides its label, if any.
    - `scores`: whether it is a classifier without probabilities. `outputs`: how many values a regressor answers.
    """

    def __init__(self, path: Path, header: Header, arrays: Mapping[str, Array], engine: Engine = "auto") -> None:
        self.path = path
        self.features: tuple[Feature, ...] = header.features
        self.metadata: dict[str, Any] = header.metadata
        self.kind: Literal["classifier", "regressor"] = header.kind
        self.classes: tuple[Scalar, ...] = header.classes
        self.estimator = header.estimator
        self.threshold = header.threshold
        self.conformal = header.conformal
        self.scores = header.scores
        self.outputs = header.outputs
        self._explaining = header.explaining
        self._of_explaining = {key: arrays[key] for key in arrays if key.rpartition(".")[2] in EXPLAINING}
        names = tuple(feature.name for feature in header.features)
        if not names or len(set(names)) != len(names):
            raise ArtifactError(f"artifact {path}", expected="features with different names", found=str(names))
        self._start(header, arrays, engine)

    def _start(self, header: Header, arrays: Mapping[str, Array], engine: Engine) -> None:
        name = str(self.path)
        parts, models = checked(name, header, arrays)
        self._program, self._constants = parts["program"], parts["constants"]
        self._dictionaries = program.dictionaries(name, parts)
        self._models = models
        self._vectorizers = vectorizers(name, header, self._dictionaries, self._constants)
        self._columns, self._outputs = models[-1].columns, models[-1].outputs
        self._trees, self._slots = max(len(models[-1].roots) - 1, 0), header.slots
        self._first = header.features[0].name
        self._in_numpy = in_numpy = engine == "numpy" or (engine == "auto" and not compiled())
        kernel: Any = kernel_numpy.Kernel if in_numpy else _kernel.Kernel
        self._kernel = kernel(
            names=tuple(feature.name for feature in header.features),
            dictionaries=self._dictionaries,
            program=self._program,
            constants=self._constants,
            vectorizers=self._vectorizers,
            slots=header.slots,
            models=models,
        )

    def predict(self, columns: Columns) -> Array:
        """What scikit-learn's `predict_proba` (n, classes) or `predict` (n,) returns for the same n rows.

        A regressor of several outputs predicts (n, outputs). A classifier without probabilities answers what
        `scores.labelled` returns.

        `columns` holds one 1-d array per feature: float64 (NaN where missing), or text (None or NaN where
        missing). ContractError names a missing, extra or wrongly shaped column, and one with a value that
        scikit-learn would refuse.
        """
        if self.scores:
            return labelled(self.raw(columns), self.threshold)
        rows = self._rows(columns)
        shape = (rows,) if self.kind == "regressor" and self._outputs == 1 else (rows, self._columns)
        return self._run(columns, np.empty(shape), PREDICTION, rows)

    def raw(self, columns: Columns) -> Array:
        """The scores (n, outputs) before the link function; for forests the averaged leaf values."""
        rows = self._rows(columns)
        return self._run(columns, np.empty((rows, self._outputs)), RAW, rows)

    def leaves(self, columns: Columns) -> Array:
        """The node numbers (n, trees) of the reached leaves, as scikit-learn's `apply` numbers them."""
        rows = self._rows(columns)
        return self._run(columns, np.empty((rows, self._trees), np.int64), LEAVES, rows)

    def inputs(self, columns: Columns) -> Array:
        """All slots (n, slots) after the column program: what the estimator reads, and what led to it."""
        rows = self._rows(columns)
        return self._run(columns, np.empty((rows, self._slots)), INPUTS, rows)

    @property
    def fallback(self) -> Fallback | None:
        """What predicts where the file holds no packed model."""
        return None

    @property
    def explains(self) -> bool:
        """Whether the file holds what explanations need."""
        return self._explaining is not None

    def explain(self, columns: Columns, seconds: float = math.inf) -> "Explanation":
        """What each feature contributes to the raw scores; ArtifactError for a file that was packed without that.

        ExplanationTimeout for what is compared with training rows, if that takes longer than `seconds`.
        """
        return self._explainer(columns, seconds)

    @cached_property
    def _explainer(self) -> "Explainer":
        from penstock.artifact.explaining.explainer import Explainer

        return Explainer(self._source())

    def _source(self) -> "Source":
        from penstock.artifact.explaining.explainer import Source, missing_explanations

        if self._explaining is None or len(self._of_explaining.get("means", ())) != self._slots:
            raise missing_explanations(self.path)
        return Source(
            name=str(self.path),
            features=self.features,
            explaining=self._explaining,
            score=self.raw,
            most_rows=MOST_COMPARED,
            arrays=self._of_explaining,
            inputs=self.inputs,
            models=self._models,
            program=self._program,
            constants=self._constants,
            in_numpy=self._in_numpy,
        )

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
        if status > 0:
            raise self._refusal(columns)
        if status == OUT_OF_BOUNDS:
            raise ArtifactError(f"artifact {self.path}", expected="nodes inside their tree", found="a damaged tree")
        if status:
            raise ArtifactError(f"artifact {self.path}", expected="columns that its kernel takes", found=str(status))
        return out

    def refusals(self, columns: Columns) -> list[Refusal]:
        """Every value because of which `predict` refuses the columns, row by row; none if it takes them."""
        made = canonical(self.features, columns)
        values = [made[feature.name] for feature in self.features]
        refused: dict[int, Array] = {}
        with np.errstate(all="ignore"):
            slots = np.zeros((self._slots, len(values[0])))
            tables = self._program, self._constants, self._dictionaries, self._vectorizers
            run_program(*tables, values, slots, self._asked(slots), refused)
        found: dict[tuple[int, int], Refusal] = {}
        for at, rows in refused.items():
            op, _, _, start, _, feature = self._program[at].tolist()
            finite = ("a finite number", "a finite number or no value", "a number above 0, or no value")[min(start, 2)]
            expected = {Op.KNOWN: "a category seen in training", Op.TERMS: "a text"}.get(op, finite)
            feature = self._program[at, 1] if op == Op.TERMS else feature
            for row, value in zip(rows.tolist(), values[feature][rows].tolist(), strict=True):
                found.setdefault((row, feature), Refusal(row, self.features[feature].name, expected, value))
        return [found[place] for place in sorted(found)]

    def _asked(self, slots: Array) -> Callable[[int, bool], Array]:
        return lambda model, raw: kernel_numpy.answer(self._models[model], slots, raw=raw)

    def _refusal(self, columns: Columns) -> ContractError:
        """The error that names the first value that is refused."""
        first = self.refusals(columns)[0]
        too_large = isinstance(first.value, float) and math.isfinite(first.value) and "finite" in first.expected
        found = f"{first.value!r}, which is too large" if too_large else repr(first.value)
        return ContractError(f"column {first.feature!r}", expected=first.expected, found=found)


def best_places(artifact: Artifact, predicted: Array) -> Array:
    """The places of the classes whose contributions are told, of n predictions of several classes."""
    best: Array = predicted[:, 0].astype(np.int64) if artifact.scores else predicted.argmax(axis=1)
    return best


def vectorizers(
    name: str, header: Header, dictionaries: tuple[dict[str, int], ...], constants: Array
) -> tuple[Terms, ...]:
    """The vectorizers of a file; ArtifactError for a pattern that is no regular expression."""
    try:
        return tuple(Terms(told, dictionaries, constants) for told in header.vectorizers)
    except re.error as error:
        raise ArtifactError(f"artifact {name}", expected="a regular expression", found=str(error)) from None
