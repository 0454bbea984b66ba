"""Requests that cannot be answered as they are: which of a batch, and what is wrong with each."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from penstock.artifact.native import Refusal
from penstock.contract.contract import Columns, Contract, Lookup
from penstock.serving.http.problems import Fault, shown

FaultsAt = Callable[[str], list[Fault]]
"""The faults of one request, whose JSON path is given."""


class RequestRefusals(Exception):
    """Requests of a batch that cannot be answered, by position, with what is wrong with each."""

    def __init__(self, faults: Mapping[int, FaultsAt]) -> None:
        super().__init__(f"{len(faults)} requests are refused")
        self.faults = faults


def lookup_faults(request: msgspec.Struct, lookups: Sequence[Lookup]) -> FaultsAt:
    """The faults of a request for which lookups found no row."""

    def at(path: str) -> list[Fault]:
        faults = []
        for lookup in lookups:
            key = {field: getattr(request, field) for field in lookup.key.values()}
            fields = ", ".join(f"{path}.{field}" for field in key)
            found = f"none for {msgspec.json.encode(key).decode()}"
            faults.append(Fault(fields, f"a row in table {lookup.table!r}", found))
        return faults

    return at


def feature_faults(
    contract: Contract, refusals: Sequence[Refusal], columns: Columns, missing: Sequence[tuple[str, ...]]
) -> dict[int, FaultsAt]:
    """By row, the faults of the features that the model refuses; `columns` are what they were made from."""
    fields = contract.request_kinds()
    by_row: dict[int, list[tuple[str, Fault]]] = {}
    for one in refusals:
        sources = [name for name, values in columns.items() if _is_from(name, values[one.row], one)]
        field = next((name for name in sources if name in fields), "")
        found = _value(one.value)
        if lost := missing[one.row]:
            found += f" (no row was found by {', '.join(lost)})"
        elif sources and not field:
            found += f" (from {sources[0]})"
        by_row.setdefault(one.row, []).append((field, Fault("", one.expected, found, one.feature)))

    def faults_of(found: Sequence[tuple[str, Fault]]) -> FaultsAt:
        return lambda path: [
            msgspec.structs.replace(fault, field=f"{path}.{field}" if field else path) for field, fault in found
        ]

    return {row: faults_of(found) for row, found in by_row.items()}


def answer_faults(predicted: np.ndarray[Any, Any]) -> dict[int, FaultsAt]:
    """By row, the fault of an answer that is no number, because values are so large that the model's sums are none."""
    numbers = np.isfinite(predicted)

    def at(path: str) -> list[Fault]:
        return [Fault(path, "values from which the model makes a number", "an answer that is no number")]

    return dict.fromkeys(np.flatnonzero(~numbers.reshape(len(predicted), -1).all(axis=1)).tolist(), at)


def _is_from(column: str, value: Any, refusal: Refusal) -> bool:
    """Whether a refused value is seen to come from this column: it is the same, or is missing and has its name."""
    if _is_missing(refusal.value):
        return _is_missing(value) and column.rpartition(".")[2] == refusal.feature
    return isinstance(value, type(refusal.value)) and bool(value == refusal.value)


def _is_missing(value: Any) -> bool:
    return value is None or bool(value != value)  # noqa: PLR0124  NaN and NaT differ from themselves


def _value(value: Any) -> str:
    if _is_missing(value):
        return "no value"
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return shown(value)
