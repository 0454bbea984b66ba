"""Shapes that nobody has to write: of a training set from its contract, of a replicated table from its lookups."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
import pandas as pd
import pandera.pandas as pa
import pyarrow

from penstock.contract.contract import Contract, Lookup
from penstock.contract.request_types import FIRST_YEAR, LAST_YEAR, TIMES, Kind, plain_types

Belongs = Callable[[pyarrow.DataType], bool]
TYPES = pyarrow.types


def _is_number(kind: pyarrow.DataType) -> bool:
    return bool(TYPES.is_integer(kind) or TYPES.is_floating(kind) or TYPES.is_decimal(kind))


def _is_text(kind: pyarrow.DataType) -> bool:
    kind = kind.value_type if TYPES.is_dictionary(kind) else kind
    return bool(TYPES.is_string(kind) or TYPES.is_large_string(kind) or TYPES.is_string_view(kind))


OF_KIND: Mapping[Kind, tuple[str, Belongs]] = {
    "number": ("numbers", lambda kind: _is_number(kind) or TYPES.is_boolean(kind)),
    "text": ("texts", _is_text),
    "time": ("dates or times", lambda kind: TYPES.is_timestamp(kind) or TYPES.is_date(kind)),
}
OF_FIELD: Mapping[type[msgspec.inspect.Type], tuple[str, Belongs]] = {
    msgspec.inspect.IntType: ("whole numbers", TYPES.is_integer),
    msgspec.inspect.FloatType: ("numbers", _is_number),
    msgspec.inspect.BoolType: ("booleans", TYPES.is_boolean),
    msgspec.inspect.DateType: ("dates", TYPES.is_date),
}


def training_shape(contract: Contract, own: Mapping[str, bool], *, bounded: bool = True) -> pa.DataFrameSchema:
    """The shape of a training set: each request field in its type and bounds, and each lookup's columns in their kinds.

    - `own`: further columns of the query, and whether they may be null. Columns that nothing uses may be there too.
    - Not `bounded`: types only, because rows outside the bounds are counted instead.
    """
    columns: dict[str, Any] = {}
    for field in msgspec.structs.fields(contract.request):
        members = plain_types(field.type)
        null = any(isinstance(one, msgspec.inspect.NoneType) for one in members)
        nullable = null and field.name not in (*contract.entity, contract.asked_at)
        checks = [check for one in members for check in _field_checks(one, bounded=bounded)]
        columns[field.name] = pa.Column(None, checks, nullable=nullable)
    columns |= {name: pa.Column(None, nullable=nullable) for name, nullable in own.items()}
    for lookup in contract.lookups:
        columns |= {f"{lookup.name}.{name}": column for name, column in _of_lookup(lookup).items()}
    return pa.DataFrameSchema(columns)


def table_shape(
    key: Iterable[str], lookups: Iterable[Lookup], bounds: Mapping[str, tuple[float, float]]
) -> pa.DataFrameSchema:
    """The shape of a replicated table: a key without nulls, each lookup's columns in their kinds, and the bounds."""
    columns: dict[str, Any] = {}
    for lookup in lookups:
        columns |= _of_lookup(lookup)
    for name, (least, greatest) in bounds.items():
        checks = [*(columns[name].checks if name in columns else []), pa.Check.in_range(least, greatest)]
        columns[name] = pa.Column(None, checks, nullable=True)
    for name in key:
        columns[name] = pa.Column(None, columns[name].checks if name in columns else [], nullable=False)
    return pa.DataFrameSchema(columns)


def _of_lookup(lookup: Lookup) -> dict[str, Any]:
    return {column.name: pa.Column(None, [_typed(*OF_KIND[column.kind])], nullable=True) for column in lookup.columns}


def _field_checks(info: msgspec.inspect.Type, *, bounded: bool) -> list[Any]:
    kind = OF_FIELD.get(type(info))
    if isinstance(info, msgspec.inspect.DateTimeType):
        kind = ("dates or times", OF_KIND["time"][1])
    if isinstance(info, msgspec.inspect.StrType | msgspec.inspect.LiteralType):
        kind = OF_KIND["text"]
    checks = [_typed(*kind)] if kind else []
    if not bounded:
        return checks
    checks += [_OF_THE_CALENDAR] if isinstance(info, TIMES) else []
    for name, check in (("ge", pa.Check.ge), ("gt", pa.Check.gt), ("le", pa.Check.le), ("lt", pa.Check.lt)):
        bound = getattr(info, name, None)
        checks += [check(bound)] if bound is not None else []
    if isinstance(info, msgspec.inspect.LiteralType):
        checks.append(pa.Check.isin(info.values))
    least, most = getattr(info, "min_length", None), getattr(info, "max_length", None)
    if least is not None or most is not None:
        checks.append(pa.Check.str_length(least, most))
    pattern = getattr(info, "pattern", None)
    return checks + ([pa.Check.str_contains(pattern)] if pattern else [])


def _is_of_the_calendar(values: "pd.Series[Any]") -> Any:
    kind: Any = values.dtype
    return TYPES.is_null(kind.pyarrow_dtype) or values.dt.year.between(FIRST_YEAR, LAST_YEAR)


_YEARS = f"years from {FIRST_YEAR} to {LAST_YEAR}, which requests may have (NULLIF leaves out what stands for no time)"
_OF_THE_CALENDAR = pa.Check(_is_of_the_calendar, name=_YEARS, error=_YEARS)


def _typed(words: str, belongs: Belongs) -> Any:
    """A check of the type of a column. A column without any value may be of any."""

    def check(values: "pd.Series[Any]") -> bool:
        kind: Any = values.dtype
        return belongs(kind.pyarrow_dtype) or TYPES.is_null(kind.pyarrow_dtype)

    return pa.Check(check, name=words, error=words, ignore_na=False)
