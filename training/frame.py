"""From rows of a training set to the columns and frames that features and estimators take."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from model_tools.contract import Columns, Kind
from resources.model import Model


@dataclass(frozen=True)
class TrainingRows:
    """n rows of a training set: what the contract sees, and the outcome (float64, shape (n,))."""

    columns: Columns
    vectors: Mapping[str, np.ndarray[Any, Any]]
    outcome: np.ndarray[Any, Any]


def training_rows(model: Model, table: pa.Table) -> TrainingRows:
    """The rows of a training-set snapshot, with their feature vectors computed by the contract."""
    columns = {name: _column(table, name, kind) for name, kind in model.contract.input_kinds().items()}
    outcome = table.column(model.outcome).to_numpy().astype(np.float64)
    return TrainingRows(columns, model.contract.vectors(columns), outcome)


def feature_frame(vectors: Mapping[str, np.ndarray[Any, Any]]) -> pd.DataFrame:
    """The feature vectors as scikit-learn takes them: float64 numbers, text as categories."""
    return pd.DataFrame(
        {name: pd.Categorical(values) if values.dtype == object else values for name, values in vectors.items()}
    )


def _column(table: pa.Table, name: str, kind: Kind) -> np.ndarray[Any, Any]:
    """One column as `contract.Columns` has it; an instant loses its zone, which is UTC."""
    values = table.column(name)
    if kind == "number":
        return np.asarray(values.cast(pa.float64()).to_numpy(), dtype=np.float64)
    if kind == "time":
        return np.asarray(values.cast(pa.timestamp("us")).to_numpy(), dtype="datetime64[us]")
    return np.asarray(values.to_numpy(), dtype=object)
