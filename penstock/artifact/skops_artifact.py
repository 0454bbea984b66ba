"""What cannot be packed natively: the estimator as a skops file inside a model file, behind the same API."""

import io
import json
import time
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.artifact.columns import canonical
from penstock.artifact.compat import TRUSTED_TYPES
from penstock.artifact.fallback import Fallback
from penstock.artifact.file import Header
from penstock.artifact.native import Artifact, Engine, Refusal
from penstock.artifact.packing.model import classifies, model_classes
from penstock.artifact.program import Link
from penstock.artifact.scores import labelled, own_scores
from penstock.artifact.skops_parts import is_whole, parts, without_indexes
from penstock.artifact.skops_tables import frame_of, frame_of_fit, knows_names, outputs_of
from penstock.contract.contract import Columns, Feature
from penstock.errors import ArtifactError, ContractError, UnsupportedEstimator

if TYPE_CHECKING:
    from penstock.artifact.explaining.explainer import Source

Array = np.ndarray[Any, Any]
MOST_COMPARED = 2_000
"""About the number of rows that are predicted to explain one row."""


def dump(estimator: Any, features: tuple[Feature, ...], trusted: Sequence[str] = ()) -> tuple[Header, dict[str, Array]]:
    """The header and the one array of a skops model file; UnsupportedEstimator for what it cannot hold safely."""
    name = type(estimator).__name__
    kind = "classifier" if classifies(estimator) else "regressor"
    scores = kind == "classifier" and not hasattr(estimator, "predict_proba")
    data = to_bytes(estimator, trusted)
    classes = model_classes(estimator) if kind == "classifier" else ()
    header = Header(
        engine="skops",
        kind=kind,  # type: ignore[arg-type]  # one of the two literals above
        estimator=name,
        features=features,
        classes=classes,
        outputs=len(classes) if kind == "classifier" else outputs_of(estimator, features, trusted),
        link=Link.IDENTITY.name,
        divisor=1.0,
        slots=1,
        metadata={},
        trusted_types=tuple(sorted(trusted)),
        scores=scores,
    )
    return header, {"skops": np.frombuffer(data, dtype=np.uint8)}


def to_bytes(estimator: Any, trusted: Sequence[str] = ()) -> bytes:
    """The estimator as a skops file, the same for the same estimator; UnsupportedEstimator for other types.

    `trusted` are types that the model's declaration allows besides those that are always allowed.
    """
    name = type(estimator).__name__
    try:
        import skops.io
    except ImportError:
        raise UnsupportedEstimator(
            f"estimator {name}", expected="skops", found="no such package", todo="pip install 'penstock[skops]'."
        ) from None
    try:
        try:
            stored = skops.io.dumps(estimator)
        except Exception:
            stored = skops.io.dumps(without_indexes(estimator))
        data = _same_bytes(stored)
    except Exception as error:
        raise UnsupportedEstimator(f"estimator {name}", expected="what skops can store", found=str(error)) from error
    refused = sorted(set(skops.io.get_untrusted_types(data=data)) - {*TRUSTED_TYPES, *trusted})
    if refused:
        raise UnsupportedEstimator(f"estimator {name}", expected="only allow-listed types", found=", ".join(refused))
    return data


def from_bytes(data: bytes, name: str, trusted: Sequence[str] = ()) -> Any:
    """The estimator of a skops file; ArtifactError, naming `name`, for other types and for damage."""
    try:
        import skops.io
    except ImportError:
        raise ArtifactError(name, expected="skops", found="no such package", todo="Install penstock[skops].") from None
    try:
        allowed = {*TRUSTED_TYPES, *trusted}
        refused = sorted(set(skops.io.get_untrusted_types(data=data)) - allowed)
        estimator = None if refused else skops.io.loads(data, trusted=sorted(allowed))
    except Exception as error:
        raise ArtifactError(name, expected="a skops file inside", found=repr(error)) from error
    if refused:
        raise ArtifactError(name, expected="only allow-listed types", found=", ".join(refused))
    for part in parts(estimator, set()):
        if not is_whole(part):
            raise ArtifactError(name, expected="nodes inside their tree", found="a damaged tree or matrix")
    return estimator


class SkopsArtifact(Artifact):
    """A model of any allow-listed type, predicted by scikit-learn itself. It has no leaves and no raw scores."""

    errors: tuple[type[Exception], ...] = (ValueError, TypeError, LookupError, ArithmeticError)
    """What its library raises for values that it does not take. A team's own code may raise anything."""
    _library = "scikit-learn"
    _us_per_row: float | None = None

    @property
    def fallback(self) -> Fallback:
        """As `Artifact.fallback`."""
        return Fallback(self._library, self._us_per_row)

    def _start(self, header: Header, arrays: Mapping[str, Array], engine: Engine) -> None:  # noqa: ARG002
        if list(arrays) != ["skops"] or arrays["skops"].ndim != 1:
            raise ArtifactError(f"artifact {self.path}", expected="one skops file inside", found=", ".join(arrays))
        self._model = from_bytes(arrays["skops"].tobytes(), f"artifact {self.path}", header.trusted_types)
        # A frame of training holds NaN where a text is missing, which imputers fill, unless its encoders know None.
        encoders = parts(self._model, set(), "categories_")
        self._own = bool(header.trusted_types)
        self.errors = (Exception,) if self._own else self.errors
        self._named = knows_names(self._model, header.trusted_types)
        known = [categories for one in encoders for categories in one.categories_]
        self._missing = None if any(value is None for values in known for value in np.ravel(values)) else np.nan

    def predict(self, columns: Columns) -> Array:
        """As `Artifact.predict`."""
        made = canonical(self.features, columns)
        rows = len(made[self.features[0].name])
        width = self._width()
        if not rows:
            return np.empty((0, *width))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="X does not have valid feature names")
            begun = time.perf_counter()
            try:
                answered = np.asarray(self._call(self._table(made)), dtype=np.float64).reshape(rows, *width)
            except self.errors as error:
                raise ContractError(
                    f"columns of {self.estimator}", expected="what it can predict", found=str(error)
                ) from error
        self._us_per_row = (time.perf_counter() - begun) / rows * 1e6
        if not np.isfinite(answered).all():
            raise ContractError(
                f"columns of {self.estimator}", expected="what it can predict", found="an answer that is no number"
            )
        return answered

    def _width(self) -> tuple[int, ...]:
        """The shape of what is predicted for one row."""
        if self.kind == "regressor":
            return () if self.outputs == 1 else (self.outputs,)
        return (2 if len(self.classes) == 2 else 1 + len(self.classes),) if self.scores else (len(self.classes),)

    def _call(self, table: Any) -> Any:
        if self.scores:
            found = own_scores(self._model, table)
            return found if self.threshold is None else labelled(found[:, 1:], self.threshold)
        return self._model.predict(table) if self.kind == "regressor" else self._model.predict_proba(table)

    def refusals(self, columns: Columns) -> list[Refusal]:
        """As `Artifact.refusals`: the refused rows are found by halves, the values by what scikit-learn says."""
        made = canonical(self.features, columns)

        def of_rows(first: int, end: int) -> Iterator[Refusal]:
            part = {name: values[first:end] for name, values in made.items()}
            try:
                self.predict(part)
            except ContractError as error:
                if end - first == 1:
                    yield from self._refused(first, part, error)
                else:
                    middle = (first + end) // 2
                    yield from of_rows(first, middle)
                    yield from of_rows(middle, end)

        return list(of_rows(0, len(made[self.features[0].name])))

    def _refused(self, row: int, part: dict[str, Array], error: ContractError) -> Iterator[Refusal]:
        """The values of one refused row: those that are not there, not finite, or named in scikit-learn's words."""
        said = error.found.partition("\n")[0]
        values = {name: array.tolist()[0] for name, array in part.items()}
        unknown = [name for name, value in values.items() if isinstance(value, str) and repr(value) in said]
        others = [name for name, value in values.items() if value is None or _not_finite(value)]
        for name in unknown or others or [self.features[0].name]:
            kind = "a category seen in training" if name in unknown else f"a value that {self.estimator} takes: {said}"
            yield Refusal(row, name, kind, values[name])

    def raw(self, columns: Columns) -> Array:  # noqa: ARG002
        """Not there: the library predicts."""
        raise UnsupportedEstimator(
            f"artifact {self.path}",
            expected="a natively packed model",
            found=f"one that {type(self._model).__module__.partition('.')[0]} predicts",
        )

    leaves = inputs = raw

    def _source(self) -> "Source":
        from penstock.artifact.explaining.explainer import Source, missing_explanations

        if self._explaining is None:
            raise missing_explanations(self.path)
        width = self._width()[0] if self._width() else 1
        first = int(self.scores)  # the label has no contributions
        return Source(
            name=str(self.path),
            features=self.features,
            explaining=self._explaining,
            score=lambda columns: self.predict(columns).reshape(-1, width)[:, first:],
            most_rows=MOST_COMPARED,
            arrays={},
        )

    def _table(self, columns: dict[str, Array]) -> Any:
        """A matrix, or a frame where columns are known by name."""
        if self._own:
            return frame_of_fit(columns)
        if all(feature.kind == "number" for feature in self.features):
            return frame_of(columns) if self._named else np.column_stack(list(columns.values()))
        columns = {name: self._with_missing(column) for name, column in columns.items()}
        if hasattr(self._model, "feature_names_in_"):
            return frame_of(columns)
        return np.column_stack([column.astype(object) for column in columns.values()])

    def _with_missing(self, column: Array) -> Array:
        if column.dtype != object:
            return column
        made = [self._missing if not isinstance(value, str) else value for value in column.tolist()]
        return np.array(made, dtype=object)


def _not_finite(value: Any) -> bool:
    return isinstance(value, float) and not abs(value) <= float(np.finfo(np.float32).max)


def _same_bytes(data: bytes) -> bytes:
    """The skops file with ids, names and dates that do not change from one dump to the next."""
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        contents = {name: source.read(name) for name in source.namelist()}
    ids: dict[Any, int] = {}
    files: dict[str, str] = {}

    def renumbered(node: Any) -> Any:
        if isinstance(node, list):
            return [renumbered(item) for item in node]
        if not isinstance(node, dict):
            return node
        made = {key: renumbered(value) for key, value in node.items()}
        if isinstance(node.get("__id__"), int):
            made["__id__"] = ids.setdefault(node["__id__"], len(ids) + 1)
        if node.get("file") in contents:
            suffix = node["file"].rpartition(".")[2]
            made["file"] = files.setdefault(node["file"], f"{len(files) + 1}.{suffix}")
        return made

    schema = json.dumps(renumbered(json.loads(contents["schema.json"]))).encode()
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as target:
        for old, new in files.items():
            target.writestr(zipfile.ZipInfo(new), contents[old])
        target.writestr(zipfile.ZipInfo("schema.json"), schema)
    return made.getvalue()
