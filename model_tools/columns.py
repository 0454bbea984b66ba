"""Rows to columns: the one way in which requests and looked-up rows become numpy arrays."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import numpy as np

from model_tools.contract import Contract, Kind


def column(values: Sequence[Any], kind: Kind) -> np.ndarray[Any, Any]:
    """n Python values (None where missing) as one array of the kind, see `contract.Columns`."""
    if kind == "number":
        return np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    if kind == "time":
        return np.array([_instant(v) for v in values], dtype="datetime64[us]")
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made


def request_columns(contract: Contract, requests: Sequence[msgspec.Struct]) -> dict[str, np.ndarray[Any, Any]]:
    """n decoded requests as columns, one per request field."""
    return {
        name: column([getattr(request, name) for request in requests], kind)
        for name, kind in contract.request_kinds().items()
    }


def _instant(value: datetime | date | None) -> np.datetime64:
    """A date or time as datetime64[us]: in UTC where it has a zone, as written where it has none."""
    if value is None:
        return np.datetime64("NaT", "us")
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(value, "us")
