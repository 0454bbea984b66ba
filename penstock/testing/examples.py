"""A model's answer over made-up rows: tables published, an estimator fitted and released, the service asked."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
import pyarrow
import pytest

from penstock.client import Prediction
from penstock.contract.columns import column, request_columns
from penstock.declare.discovery import declared
from penstock.declare.model import Model
from penstock.testing.service import Serve
from penstock.testing.warehouse import Rows
from penstock.training.frame import fitting_frame, frame_for

COUNT = 60
"""Rows that the estimator is fitted to."""
EMPTY = {"number": pyarrow.float64(), "text": pyarrow.string(), "time": pyarrow.timestamp("us", "UTC")}
Values = Mapping[str, Any]


@pytest.fixture
def answer_over_rows(
    publish_into_book: Callable[[Any, Rows], Any], release_in_book: Callable[[Any, Any], Any], serve: Serve
) -> Callable[[Model, Values, Mapping[str, Values]], Prediction]:
    """A function that returns a model's answer to a request; `rows`: replicated table -> the row that it finds there.

    The estimator is fitted to that one row, many times, with every outcome in turn, and numbers one more in every
    seventh.
    """

    def answer(model: Model, request: Values, rows: Mapping[str, Values]) -> Prediction:
        contract = model.contract
        columns = request_columns(contract, [msgspec.convert(dict(request), contract.request)] * COUNT)
        kinds: dict[tuple[str, str], pyarrow.DataType] = {}
        for lookup in contract.lookups:
            for one in lookup.columns:
                columns[f"{lookup.name}.{one.name}"] = column([rows[lookup.table].get(one.name)] * COUNT, one.kind)
                kinds[lookup.table, one.name] = EMPTY[one.kind]
        for table in declared().tables_for(model):
            row = rows[table.name]
            typed = {
                name: pyarrow.array([value], kinds.get((table.name, name)) if value is None else None)
                for name, value in row.items()
            }
            publish_into_book(table, pyarrow.table(typed))
        classes = len(contract.output.classes)
        outcome: np.ndarray[Any, Any] = np.arange(COUNT) % classes if classes else np.arange(COUNT, dtype=np.float64)
        if contract.output.values:
            outcome = np.column_stack([outcome] * len(contract.output.values))
        vectors = dict(contract.vectors(columns))
        for name, values in vectors.items():
            if values.dtype != object:  # CatBoost refuses rows that are all alike
                vectors[name] = values + (np.arange(COUNT) % 7 == 0)
        estimator = model.estimator()
        release_in_book(contract, estimator.fit(frame_for(estimator, fitting_frame(vectors)), outcome))
        return serve(contract).client(contract.model).predict(dict(request))

    return answer
