"""What most contracts would write themselves: columns by kind, features that are columns, and times as numbers.

An artifact is fitted to what these functions return: they are never changed, only joined by others.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np

from penstock.contract.contract import Column, Feature, Lookup
from penstock.contract.declaring import nearest
from penstock.contract.request_types import Kind, kind_of
from penstock.errors import ContractError, PenstockError, demand_none

Vectors = dict[str, np.ndarray[Any, Any]]
"""Feature or column -> n values."""


def numbers(*names: str, **units: str) -> tuple[Column, ...]:
    """Columns of numbers or booleans for a lookup: `numbers("age", income="EUR")` says a unit too."""
    return _columns("number", names, units)


def texts(*names: str) -> tuple[Column, ...]:
    """Columns of texts for a lookup."""
    return _columns("text", names, {})


def times(*names: str) -> tuple[Column, ...]:
    """Columns of dates or times for a lookup."""
    return _columns("time", names, {})


def plain_features(
    request: type[msgspec.Struct],
    lookups: Iterable[Lookup],
    *,
    but: Iterable[str] = (),
    computed: Iterable[str] = (),
) -> tuple[Feature, ...]:
    """Each number and text of a request and its lookups (`lookup.column`) as a feature, then one number per `computed`.

    - `but`: columns that are none, such as identifiers. Times are none.
    - `computed`: what the features function returns. The others are taken as they are.
    """
    kinds = {field.name: kind_of(field.type) for field in msgspec.structs.fields(request)}
    kinds |= {f"{one.name}.{column.name}": column.kind for one in lookups for column in one.columns}
    left_out = tuple(but)
    faults: list[PenstockError] = [
        ContractError(
            f"plain_features of {request.__name__}",
            expected="columns in `but`",
            found=repr(name),
            todo=nearest(name, kinds),
        )
        for name in left_out
        if name not in kinds
    ]
    demand_none(faults)
    plain = [Feature(name, kind) for name, kind in kinds.items() if name not in left_out and kind != "time"]
    return (*plain, *(Feature(name, "number") for name in computed))


def days_between(later: Any, earlier: Any) -> Any:
    """Days from one time to another, NaN where one is missing."""
    return (later - earlier) / np.timedelta64(1, "D")


def hour(time: Any) -> Any:
    """The hour of the day in UTC, with its minutes as a fraction, NaN where the time is missing."""
    return (time - time.astype("datetime64[D]")) / np.timedelta64(1, "h")


def weekday(time: Any) -> Any:
    """The day of the week in UTC, 0 is Monday, NaN where the time is missing."""
    days = time.astype("datetime64[D]").astype(np.int64) + 3
    return np.where(np.isnat(time), np.nan, days % 7)


def given(values: Any) -> Any:
    """1 where there is a value and 0 where none is: a text that is one and the same, or missing, as a number."""
    if values.dtype == object:
        return np.array([value is not None for value in values], dtype=np.float64)
    missing = np.isnat(values) if values.dtype.kind == "M" else np.isnan(values)
    return np.where(missing, 0.0, 1.0)


def _columns(kind: Kind, names: Iterable[str], units: dict[str, str]) -> tuple[Column, ...]:
    return (*(Column(name, kind) for name in names), *(Column(name, kind, unit) for name, unit in units.items()))
