"""Rows to columns: the one way in which requests and looked-up rows become numpy arrays."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from enum import Enum
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

from penstock.contract.contract import Contract
from penstock.contract.request_types import Kind, kind_of, plain_types

_NAT = np.iinfo(np.int64).min
_DAY = 86_400_000_000
_EPOCH = datetime(1970, 1, 1)  # of times without a zone
_EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)


def column(values: Sequence[Any], kind: Kind) -> np.ndarray[Any, Any]:
    """n Python values (None where missing) as one array of the kind, see `contract.Columns`."""
    if kind == "number":
        return np.array(values, dtype=np.float64)  # None becomes NaN
    if kind == "time":
        return _instants(values).view("datetime64[us]")
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made


def request_columns(contract: Contract, requests: Sequence[msgspec.Struct]) -> dict[str, np.ndarray[Any, Any]]:
    """n decoded requests as columns, one per request field."""
    kinds, enumerated = _kinds(contract.request), enumerations(contract.request)
    values = zip(*map(msgspec.structs.astuple, requests), strict=True) if requests else [()] * len(kinds)
    columns = zip(kinds, values, strict=True)
    if not enumerated:
        return {name: column(each, kind) for (name, kind), each in columns}
    return {name: column(plain(each) if name in enumerated else each, kind) for (name, kind), each in columns}


def plain(values: Iterable[Any]) -> list[Any]:
    """Members of an Enum as the values that JSON, features and databases have."""
    return [value.value if isinstance(value, Enum) else value for value in values]


@lru_cache
def enumerations(request: type[msgspec.Struct]) -> frozenset[str]:
    """The fields of a request whose type is an Enum."""
    return frozenset(
        field.name
        for field in msgspec.structs.fields(request)
        if any(isinstance(member, msgspec.inspect.EnumType) for member in plain_types(field.type))
    )


def instant(value: datetime | date) -> int:
    """A date or time as microseconds since 1970: in UTC where it has a zone, as written where it has none."""
    if not isinstance(value, datetime):
        return (value.toordinal() - _EPOCH.toordinal()) * _DAY
    since = value - (_EPOCH if value.tzinfo is None else _EPOCH_UTC)
    return since.days * _DAY + since.seconds * 1_000_000 + since.microseconds


def _instants(values: Sequence[datetime | date | None]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """n times as `instant` has them. Most arrays repeat theirs: each is worked out once."""
    repeats = len(values) > 0 and values.count(values[0]) == len(values)
    distinct = set(values[:1] if repeats else values)
    if any(getattr(value, "tzinfo", None) not in (None, UTC) for value in distinct):  # equal ones may be two instants
        return np.array([_NAT if value is None else instant(value) for value in values], np.int64)
    known = {value: _NAT if value is None else instant(value) for value in distinct}
    return np.array([*known.values()] * len(values) if repeats else [known[value] for value in values], np.int64)


@lru_cache
def _kinds(request: type[msgspec.Struct]) -> tuple[tuple[str, Kind], ...]:
    return tuple((field.name, kind_of(field.type)) for field in msgspec.structs.fields(request))
