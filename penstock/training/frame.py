"""Reading the rows of a training set: feature vectors, outcomes, and the frame that estimators are fitted to."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from penstock.artifact.packing.model import public_name
from penstock.contract.contract import Columns
from penstock.contract.declaring import raised
from penstock.contract.request_types import Kind
from penstock.declare.model import Model
from penstock.errors import PenstockError
from penstock.quantity import counted
from penstock.snapshots.store import Snapshot
from penstock.training.bounds import OutsideRows
from penstock.training.outcomes import OutcomeError, encode_all, numbers
from penstock.training.sample import Sample

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class TrainingRows:
    """n rows of a training set. Each array has the shape (n,).

    - `vectors`: feature -> values. `outcome`: float64, (n, k) of k values.
    - `group` of the base rate, `slices` of the gate, and `weights` (float64), where the model declares them.
    - `left_out`: how many rows had no outcome and were left out, as the model declares.
    - `asked_at`: datetime64[us] in UTC, of a model with a fit function of its own.
    - `outside`: how many rows have a value outside the request's bounds.
    """

    vectors: dict[str, Array]
    outcome: Array
    group: Array | None = None
    slices: Array | None = None
    weights: Array | None = None
    left_out: int = 0
    outside: OutsideRows = field(default_factory=OutsideRows)
    asked_at: Array | None = None


def read_rows(model: Model, snapshot: Snapshot, sample: Sample | None = None) -> TrainingRows:
    """The rows of a snapshot, or those of the sample.

    Features are computed batch by batch, so that memory holds one number (or reference to a text) per row and feature.
    """
    parts: list[TrainingRows] = []
    names = [feature.name for feature in model.contract.features]
    own = [name for name in (*model.outcomes, model.sample_weight) if name]
    wanted = dict.fromkeys([*model.contract.input_kinds(), *own, *(sample.key if sample else ())])
    for batch in _read_ahead(snapshot.batches(columns=list(wanted))):
        kept = batch.filter(pa.array(sample.holds(batch))) if sample else batch
        if kept.num_rows or not parts:
            parts.append(training_rows(model, pa.Table.from_batches([kept])))
    if not parts:
        return TrainingRows({name: np.empty(0) for name in names}, np.empty(0))
    return TrainingRows(
        {name: _joined([part.vectors.pop(name) for part in parts]) for name in names},
        _joined([part.outcome for part in parts]),
        _joined([part.group for part in parts if part.group is not None]) if model.base_rate_by else None,
        _joined([part.slices for part in parts if part.slices is not None]) if model.gate.slice_by else None,
        _joined([part.weights for part in parts if part.weights is not None]) if model.sample_weight else None,
        sum(part.left_out for part in parts),
        sum((part.outside for part in parts), OutsideRows()),
        _joined([part.asked_at for part in parts if part.asked_at is not None]) if model.fit else None,
    )


def known_outcomes(outcomes: Sequence[str], table: pa.Table) -> pa.ChunkedArray:
    """Which rows have every outcome."""
    known = table.column(outcomes[0]).is_valid()
    for name in outcomes[1:]:
        known = pc.and_(known, table.column(name).is_valid())
    return known


def training_rows(model: Model, table: pa.Table) -> TrainingRows:
    """The rows of a training set, with their feature vectors computed by the contract."""
    left_out = 0
    if model.null_outcome == "leave_out":
        known = known_outcomes(model.outcomes, table)
        left_out = table.num_rows - pc.sum(known).as_py() if table.num_rows else 0
        table = table.filter(known)
    columns: Columns = TableColumns(table, model.contract.input_kinds())
    return TrainingRows(
        _vectors(model, columns, table.num_rows),
        encode_all(model, table),
        np.asarray(model.base_rate_by(columns)) if model.base_rate_by else None,
        _as_text(columns[model.gate.slice_by]) if model.gate.slice_by else None,
        _weights(model, table) if model.sample_weight else None,
        left_out,
        OutsideRows.of(model.contract, table),
        columns[model.contract.asked_at] if model.fit else None,
    )


def _vectors(model: Model, columns: Columns, rows: int) -> dict[str, Array]:
    """The feature vectors; PenstockError with file and line where the project's function fails."""
    try:
        return dict(model.contract.vectors(columns, rows))
    except PenstockError:
        raise
    except (Exception, SystemExit) as error:
        raise PenstockError(
            f"features of model {model.contract.model!r}",
            expected="a function of the columns that returns a dict of feature to numpy array",
            found=raised(error),
            todo=f"The columns are {', '.join(columns)}.",
        ) from error


def fitting_frame(vectors: Mapping[str, Array]) -> pd.DataFrame:
    """The feature vectors as a frame to fit to: numbers of which no row has any are 0, because histogram boosting
    refuses a column of NaN. A constant is never split on."""
    constant = {name: np.zeros(len(vectors[name])) for name in without_values(vectors) if vectors[name].dtype != object}
    return feature_frame({**vectors, **constant})


def without_values(vectors: Mapping[str, Array]) -> list[str]:
    """The features that have no value in any of n rows, where there are rows."""
    return [name for name, values in vectors.items() if len(values) and pd.isna(values).all()]


def feature_frame(vectors: Mapping[str, Array]) -> pd.DataFrame:
    """The feature vectors as a frame for scikit-learn: float64 numbers, not copied, and texts as categories."""
    return pd.DataFrame(
        {name: pd.Categorical(values) if values.dtype == object else values for name, values in vectors.items()},
        copy=False,
    )


def frame_for(estimator: Any, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame as the estimator takes it: CatBoost reads a text feature as texts, empty where there is none."""
    if not public_name(estimator).startswith("catboost."):
        return frame
    told = estimator.get_params().get("text_features") or []
    if estimator.is_fitted():
        told = estimator.get_text_feature_indices()
    names = [frame.columns[one] if isinstance(one, int) else one for one in told]
    texts = {name: frame[name].astype(object) for name in names if name in frame}
    return frame.assign(**{name: values.where(values.notna(), "") for name, values in texts.items()})


def text_categories(frame: pd.DataFrame) -> dict[str, list[str]]:
    """The categories of each text column of a frame, in order."""
    return {
        str(name): frame[name].cat.categories.tolist()
        for name in frame
        if isinstance(frame[name].dtype, pd.CategoricalDtype)
    }


def _read_ahead(batches: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The batches. The next batch is read while the features of this one are computed."""
    with ThreadPoolExecutor(1) as beside:
        coming = beside.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = beside.submit(next, batches, None)
            yield batch


def _weights(model: Model, table: pa.Table) -> Array:
    """The weight of each row; OutcomeError for one that is not a number of at least 0."""
    of, expected = (
        f"sample_weight {model.sample_weight!r} of model {model.contract.model!r}",
        "a finite number of at least 0",
    )
    column = table.column(model.sample_weight)
    try:
        weights = numbers(column)
    except pa.ArrowException:
        todo = "Correct the query, or name another column."
        raise OutcomeError(of, expected=f"{expected} in every row", found=str(column.type), todo=todo) from None
    wrong = int(np.count_nonzero(~(np.isfinite(weights) & (weights >= 0))))
    if wrong:
        found = f"{counted(wrong, 'row')} with another value"
        raise OutcomeError(of, expected=f"{expected} in every row", found=found, todo="Correct the query.")
    return weights


def _column(table: pa.Table, name: str, kind: Kind) -> Array:
    """One column as `contract.Columns` declares it: instants without their zone UTC, equal texts as one object."""
    values = table.column(name)
    if kind == "number":
        try:
            return numbers(values)
        except pa.ArrowInvalid as error:
            raise PenstockError(
                f"column {name!r} of the training set",
                expected="numbers that a float64 holds exactly",
                found=str(error),
                todo=f"Round {name!r} in the query, or declare it as text: an identifier is no quantity.",
            ) from None
    if kind == "time":
        return np.asarray(values.cast(pa.timestamp("us")).to_numpy(), dtype="datetime64[us]")
    encoded = values.combine_chunks().dictionary_encode()
    texts = np.array([*encoded.dictionary.to_pylist(), None], dtype=object)
    return np.asarray(texts[encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)], dtype=object)


class TableColumns(Mapping[str, Array]):
    """The columns of a table, each made when it is read: a number that no float64 holds is refused where it is used.

    A key such as 9007199254740993 is none of the features' business, and may be what it is.
    """

    def __init__(self, table: pa.Table, kinds: Mapping[str, Kind]) -> None:
        self._table, self._kinds = table, kinds
        self._made: dict[str, Array] = {}

    def __getitem__(self, name: str) -> Array:
        if name not in self._made:
            self._made[name] = _column(self._table, name, self._kinds[name])
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)


def _as_text(values: Array) -> Array:
    """Any column as an array of texts. A column that holds texts only is not copied."""
    return values if values.dtype == object and None not in values else np.array([str(v) for v in values], dtype=object)


def _joined(parts: Sequence[Array]) -> Array:
    return np.concatenate(parts) if len(parts) > 1 else parts[0]
