"""Reading the rows of a training set: feature vectors, outcomes, and the frame that estimators are fitted to."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from penstock.contract.contract import Columns, Kind
from penstock.declare.model import Model
from penstock.errors import PenstockError
from penstock.snapshots.store import Snapshot
from penstock.training.sample import Sample

Array = np.ndarray[Any, Any]


class OutcomeError(PenstockError):
    """An outcome that the declared output does not have."""


@dataclass(frozen=True)
class TrainingRows:
    """n rows of a training set. Each array has the shape (n,).

    - `vectors`: feature -> values. `outcome`: float64.
    - `group` of the base rate, and `slices` of the gate, where the model declares them.
    """

    vectors: dict[str, Array]
    outcome: Array
    group: Array | None = None
    slices: Array | None = None


def read_rows(model: Model, snapshot: Snapshot, sample: Sample | None = None) -> TrainingRows:
    """The rows of a snapshot, or those of the sample.

    Features are computed batch by batch, so that memory holds one number (or reference to a text) per row and feature.
    """
    parts: list[TrainingRows] = []
    names = [feature.name for feature in model.contract.features]
    wanted = dict.fromkeys([*model.contract.input_kinds(), model.outcome, *(sample.key if sample else ())])
    for batch in _read_ahead(snapshot.batches(columns=list(wanted))):
        kept = batch.filter(pa.array(sample.holds(batch))) if sample else batch
        if kept.num_rows or not parts:
            parts.append(training_rows(model, pa.Table.from_batches([kept])))
    return TrainingRows(
        {name: _joined([part.vectors.pop(name) for part in parts]) for name in names},
        _joined([part.outcome for part in parts]),
        _joined([part.group for part in parts if part.group is not None]) if model.base_rate_by else None,
        _joined([part.slices for part in parts if part.slices is not None]) if model.gate.slice_by else None,
    )


def training_rows(model: Model, table: pa.Table) -> TrainingRows:
    """The rows of a training set, with their feature vectors computed by the contract."""
    columns: Columns = {name: _column(table, name, kind) for name, kind in model.contract.input_kinds().items()}
    return TrainingRows(
        dict(model.contract.vectors(columns)),
        _outcome(model, table),
        np.asarray(model.base_rate_by(columns)) if model.base_rate_by else None,
        _as_text(columns[model.gate.slice_by]) if model.gate.slice_by else None,
    )


def feature_frame(vectors: Mapping[str, Array]) -> pd.DataFrame:
    """The feature vectors as a frame for scikit-learn: float64 numbers, not copied, and texts as categories."""
    return pd.DataFrame(
        {name: pd.Categorical(values) if values.dtype == object else values for name, values in vectors.items()},
        copy=False,
    )


def _read_ahead(batches: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The batches. The next batch is read while the features of this one are computed."""
    with ThreadPoolExecutor(1) as beside:
        coming = beside.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = beside.submit(next, batches, None)
            yield batch


def _outcome(model: Model, table: pa.Table) -> Array:
    """The outcome as a number. An outcome in text is the index of its class among the declared ones."""
    values = table.column(model.outcome)
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return np.asarray(values.cast(pa.float64()).to_numpy(), dtype=np.float64)
    classes = model.contract.output.classes
    encoded = values.combine_chunks().dictionary_encode()
    for found in encoded.dictionary.to_pylist():
        if found not in classes:
            raise OutcomeError(
                f"outcome {model.outcome!r} of model {model.contract.model!r}",
                expected=f"one of {', '.join(classes) or 'the declared classes, of which there are none'}",
                found=repr(found),
                todo="Declare it in the contract's output, or leave such rows out of the training set.",
            )
    places = np.array([*map(classes.index, encoded.dictionary.to_pylist()), np.nan])
    return np.asarray(places[encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)])


def _column(table: pa.Table, name: str, kind: Kind) -> Array:
    """One column as `contract.Columns` declares it: instants without their zone UTC, equal texts as one object."""
    values = table.column(name)
    if kind == "number":
        return np.asarray(values.cast(pa.float64()).to_numpy(), dtype=np.float64)
    if kind == "time":
        return np.asarray(values.cast(pa.timestamp("us")).to_numpy(), dtype="datetime64[us]")
    encoded = values.combine_chunks().dictionary_encode()
    texts = np.array([*encoded.dictionary.to_pylist(), None], dtype=object)
    return np.asarray(texts[encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)], dtype=object)


def _as_text(values: Array) -> Array:
    """Any column as an array of texts. A column that holds texts only is not copied."""
    return values if values.dtype == object and None not in values else np.array([str(v) for v in values], dtype=object)


def _joined(parts: Sequence[Array]) -> Array:
    return np.concatenate(parts) if len(parts) > 1 else parts[0]
