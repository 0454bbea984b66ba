"""Which rows of a training set no backend could ask, because a value is outside what the request declares."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.contract.contract import Contract
from penstock.contract.request_types import FIRST_YEAR, LAST_YEAR, TIMES, plain_types
from penstock.declare.model import Model
from penstock.errors import PenstockError
from penstock.quantity import counted
from penstock.training.outcomes import numbers

Array = np.ndarray[Any, Any]
NUMERIC = (msgspec.inspect.IntType, msgspec.inspect.FloatType)
COMPARISONS = {"ge": np.less, "gt": np.less_equal, "le": np.greater, "lt": np.greater_equal}
"""Bound -> what is true of a number that is outside it."""


@dataclass(frozen=True)
class OutsideRows:
    """How many rows have a value outside the request's bounds, and how many by field."""

    count: int = 0
    fields: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, contract: Contract, table: pa.Table) -> "OutsideRows":
        """The counts of a training set, or of a part of it."""
        found = outside(contract, table)
        fields = {name: int(np.count_nonzero(rows)) for name, rows in found.items()}
        return cls(int(np.count_nonzero(any_of(found.values(), table.num_rows))), fields)

    def __add__(self, other: "OutsideRows") -> "OutsideRows":
        return OutsideRows(self.count + other.count, Counter(self.fields) + Counter(other.fields))


def outside(contract: Contract, table: pa.Table) -> dict[str, Array]:
    """Request field -> whether each of n rows is outside its bounds, for the fields where any is."""
    found: dict[str, Array] = {}
    for one in msgspec.structs.fields(contract.request):
        rows = _outside(one.type, table.column(one.name), required=one.required)
        if rows.any():
            found[one.name] = rows
    return found


def any_of(rows: Iterable[Array], count: int) -> Array:
    """Whether each of `count` rows is among any."""
    return np.asarray(np.logical_or.reduce([np.zeros(count, dtype=bool), *rows]))


def demand_inside(model: Model, beyond: OutsideRows, rows: int, say: Callable[[str], None]) -> None:
    """Say how many rows are outside; PenstockError where these are more than the model declares it lets pass."""
    if not beyond.count:
        return
    listed = ", ".join(f"{name} {count:,}" for name, count in beyond.fields.items())
    say(f"{counted(beyond.count, 'row')} outside the bounds of the request: {listed}")
    share = model.rows_outside
    if share is None or beyond.count <= share * rows:
        return
    raise PenstockError(
        f"rows of model {model.contract.model!r}",
        expected=f"at most {share:.2%} outside the bounds of the request (`rows_outside`)",
        found=f"{beyond.count:,} of {rows:,}, {beyond.count / rows:.2%}: {listed}",
        todo="Correct the query or the bounds, or declare a greater `rows_outside`.",
    )


def _outside(annotation: Any, values: pa.ChunkedArray, *, required: bool) -> Array:
    members = plain_types(annotation)
    known = [member for member in members if not isinstance(member, msgspec.inspect.NoneType)]
    null = np.asarray(values.is_null())
    missing = null if len(known) == len(members) and required else np.zeros(len(null), dtype=bool)
    if len(known) == 1 and isinstance(known[0], NUMERIC):
        bounds = {name: bound for name in COMPARISONS if (bound := getattr(known[0], name)) is not None}
        if not bounds or not _is_numeric(values.type):
            return missing
        with np.errstate(invalid="ignore"):
            beyond = [COMPARISONS[name](_floats(values), float(bound)) for name, bound in bounds.items()]
        return any_of([missing, *beyond], len(null))
    if len(known) == 1 and isinstance(known[0], TIMES) and pa.types.is_temporal(values.type):
        years = pc.year(values)
        beyond = pc.or_(pc.less(years, FIRST_YEAR), pc.greater(years, LAST_YEAR))
        return any_of([missing, np.asarray(pc.fill_null(beyond, pa.scalar(value=False)))], len(null))
    if not all(isinstance(one, msgspec.inspect.StrType | msgspec.inspect.LiteralType) for one in known):
        return missing
    encoded = values.combine_chunks().dictionary_encode()
    unfit = np.array([*(not _fits(one, annotation) for one in encoded.dictionary.to_pylist()), False])
    return any_of([missing, unfit[encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)]], len(null))


def _fits(value: Any, annotation: Any) -> bool:
    try:
        msgspec.convert(value, annotation)
    except msgspec.ValidationError:
        return False
    return True


def _is_numeric(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _floats(values: pa.ChunkedArray) -> Array:
    """Numbers as float64. A whole number beyond 2^53 is near enough to be compared with a bound."""
    if pa.types.is_integer(values.type):
        return np.asarray(pc.cast(values, pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    return numbers(values)
