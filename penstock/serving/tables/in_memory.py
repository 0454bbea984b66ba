"""One lookup's replicated table in memory: finds what the lookup statement would find, to the bit."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import repeat
from typing import Any, NamedTuple

import msgspec
import numpy as np

from penstock.contract.columns import instant
from penstock.contract.contract import Lookup
from penstock.lookups.statement import NOTHING, Columns, LookupPart, encode_row, member

Array = np.ndarray[Any, Any]

KEPT_ROWS = 20_000
NO_INSTANT = np.iinfo(np.int64).min
_BY_TYPE = {
    "int8": "integer",
    "int4": "integer",
    "int2": "integer",
    "float8": "float",
    "float4": "float",
    "bool": "bool",
    "text": "text",
    "varchar": "text",
    "timestamptz": "timestamptz",
    "timestamp": "timestamp",
    "date": "date",
}
"""Postgres type -> what its values are in memory, for the types that can be there."""
_TIMES = ("timestamptz", "timestamp", "date")
_EPOCH = datetime(1970, 1, 1)  # of times without a zone


class UncacheableTable(Exception):
    """A table that has to be looked up in Postgres: because of its types, its size, or rows that match ambiguously."""


class TableColumns(NamedTuple):
    """Columnar copy of a table. The last row is all-missing and stands for 'not found' (index -1).

    - Without `times`, `groups` maps key -> row.
    - With `times`, `groups` maps key -> group number, `group` holds each row's number, and rows are sorted by
      (group, time).
    """

    groups: Mapping[Any, int]
    group: Array
    times: Array | None
    numbers: Array
    others: Sequence[Array]


class CachedLookup:
    """The table of one lookup. `holds` maps each of the lookup's columns to what its values are (see _BY_TYPE)."""

    def __init__(
        self, lookup: Lookup, holds: Mapping[str, str], keys: Sequence["Comparison"], table: TableColumns
    ) -> None:
        self.lookup = lookup
        self._keys = keys
        self._groups = table.groups
        self._as_of = None
        if table.times is not None:
            self._as_of = AsOfIndex(table.group, table.times, len(table.groups), lookup.oldest)
        numbers = [column.name for column in lookup.columns if column.kind == "number"]
        others = [column.name for column in lookup.columns if column.kind != "number"]
        kept = dict(zip(numbers, table.numbers.T, strict=True)) | dict(zip(others, table.others, strict=True))
        self._read = [(column.name, holds[column.name], kept[column.name]) for column in lookup.columns]
        self._numbers = [f"{lookup.name}.{name}" for name in numbers]
        self._others = [(f"{lookup.name}.{name}", kept[name]) for name in others]
        self._matrix = table.numbers
        self._matrix.flags.writeable = False
        self._nothing = {-1: member(lookup.name, NOTHING)}
        self._rows: dict[int, bytes] = dict(self._nothing)

    def find(self, fields: "RequestFields") -> LookupPart:
        """What n requests find."""
        wanted = keys_of([fields.of(key.field, time=key.is_time) for key in self._keys], fields.count)
        if fields.count == 1:
            return self._find_one(self._groups.get(wanted[0], -1), fields)
        at = np.fromiter(map(self._groups.get, wanted, repeat(-1)), np.int64, fields.count)
        if self._as_of is not None and self.lookup.as_of is not None:
            at = self._as_of.of_many(at, fields.instants(self.lookup.as_of[1]))
        columns: Columns = dict(zip(self._numbers, self._matrix[at].T.copy(), strict=True))
        for name, values in self._others:
            columns[name] = values[at]
        places = at.tolist()
        rows: list[Any] = list(map(self._rows.get, places))
        if not all(rows):
            rows = [row or self._row(place) for row, place in zip(rows, places, strict=True)]
        return LookupPart(columns, rows, np.flatnonzero(at < 0).tolist())

    def _find_one(self, place: int, fields: "RequestFields") -> LookupPart:
        """What one request finds, without the arrays that pay for many. `groups` maps its key to `place`."""
        if self._as_of is not None and self.lookup.as_of is not None:
            place = self._as_of.of(place, fields.of(self.lookup.as_of[1], time=True)[0])
        row = self._matrix[place].copy()
        columns: Columns = {name: row[at : at + 1] for at, name in enumerate(self._numbers)}
        for name, values in self._others:
            columns[name] = values[place : place + 1 or None]
        return LookupPart(columns, [self._rows.get(place) or self._row(place)], [0] if place < 0 else [])

    def _row(self, place: int) -> bytes:
        """A row as a JSON member; the rows that were found lately are kept."""
        if len(self._rows) > KEPT_ROWS:
            self._rows = dict(self._nothing)
        row = encode_row({name: _plain(values[place], holds) for name, holds, values in self._read})
        made = member(self.lookup.name, row)
        self._rows[place] = made
        return made


class AsOfIndex:
    """Finds a group's newest row that is not after an instant, among rows sorted by (group, instant).

    A row that is more than `oldest` microseconds before the instant does not count.

    Group and instant are combined to one number, so that a single sorted array is searched. If the combination does not
    fit into 64 bits, the instants of the group are searched instead.
    """

    def __init__(self, group: Array, times: Array, groups: int, oldest: int | None = None) -> None:
        self._times, self._oldest = times, oldest
        edges = np.searchsorted(group, np.arange(groups + 1))
        self._first = edges  # index -1 is the end of all rows, for requests without a group
        self._edges: list[int] = edges.tolist()
        self._before = int(times.min()) - 1 if len(times) else 0
        self._after = int(times.max()) if len(times) else 0
        self._span = self._after - self._before + 1
        self._one_number = groups * self._span < 2**63
        self._numbers = group * self._span + (times - self._before) if self._one_number else times
        self._searched = memoryview(self._numbers.data)

    def of(self, group: int, until: int | None) -> int:
        """The row of one group (-1: no group); -1 if there is no such row."""
        if group < 0 or until is None:
            return -1
        first, end = self._edges[group], self._edges[group + 1]
        sought = until
        if self._one_number:
            sought = group * self._span + min(max(until, self._before), self._after) - self._before
        place = bisect_right(self._searched, sought, first, end) - 1
        if place < first or (self._oldest is not None and self._times[place] < until - self._oldest):
            return -1
        return place

    def of_many(self, groups: Array, until: Array) -> Array:
        """The same for n groups; an instant may be NO_INSTANT."""
        if not self._one_number:
            pairs = zip(groups.tolist(), until.tolist(), strict=True)
            return np.array([self.of(group, None if at == NO_INSTANT else at) for group, at in pairs], np.int64)
        since = np.minimum(np.maximum(until, self._before), self._after) - self._before
        places = self._numbers.searchsorted(groups * self._span + since, side="right") - 1
        there = (groups >= 0) & (until != NO_INSTANT) & (places >= self._first[groups])
        if self._oldest is not None and len(self._times):
            there &= self._times[places] >= until - self._oldest
        return np.where(there, places, -1)


class Comparison(NamedTuple):
    """How a key column is compared with a request field. `holds` says what the values are, see _BY_TYPE."""

    column: str
    field: str
    holds: str

    @property
    def is_time(self) -> bool:
        """Whether instants are compared."""
        return self.holds in _TIMES


class RequestFields:
    """The fields of n requests that lookups need. `columns` are their `request_columns`; each list is made once."""

    def __init__(self, requests: Sequence[msgspec.Struct], columns: Mapping[str, Array]) -> None:
        self.count = len(requests)
        self._requests = requests
        self._columns = columns
        self._listed: dict[str, list[Any]] = {}

    def of(self, field: str, *, time: bool) -> list[Any]:
        """The n values of a field, times as microseconds, None if missing."""
        found = self._listed.get(field)
        if found is None:
            if time:
                found = [None if at == NO_INSTANT else at for at in self.instants(field).tolist()]
            elif (column := self._columns[field]).dtype.hasobject:
                found = column.tolist()
            else:
                found = [getattr(request, field) for request in self._requests]
            self._listed[field] = found
        return found

    def instants(self, field: str) -> Array:
        """The n times of a field as microseconds, NO_INSTANT if missing."""
        return self._columns[field].view(np.int64)


def comparison(column: str, field: str, held: str, bound: str) -> Comparison:
    """How a column of one Postgres type and a field bound as another are compared; UncacheableTable if only SQL can."""
    holds, wanted = _BY_TYPE.get(held, held), _BY_TYPE.get(bound, bound)
    both_times = holds in _TIMES and wanted in _TIMES
    if not both_times and (holds != wanted or holds not in {"integer", "bool", "text"}):
        raise UncacheableTable(f"column {column!r} of type {held} is compared with {bound}")
    return Comparison(column, field, holds)


def kept_as(name: str, kind: str, held: str) -> str:
    """What the values of a wanted column are; UncacheableTable for a type that is not kept in memory."""
    holds = _BY_TYPE.get(held, held)
    fits = {"number": ("integer", "float", "bool"), "text": ("text",), "time": _TIMES}[kind]
    if holds not in fits:
        raise UncacheableTable(f"column {name!r} of type {held}")
    return holds


def keys_of(columns: Sequence[Sequence[Any]], count: int) -> Sequence[Any]:
    """The keys of n rows, from their key columns."""
    if len(columns) == 1:
        return columns[0]
    return list(zip(*columns, strict=True)) if columns else [()] * count


def instants(values: Sequence[datetime | date | None]) -> list[int | None]:
    """Times as microseconds since 1970, None if missing."""
    return [None if value is None else instant(value) for value in values]


def _plain(value: Any, holds: str) -> Any:
    """A value as asyncpg returns it."""
    if holds == "text":
        return value
    if holds in _TIMES:
        if np.isnat(value):
            return None
        moment = _EPOCH + timedelta(microseconds=int(value.astype(np.int64)))
        return moment.date() if holds == "date" else moment.replace(tzinfo=UTC) if holds == "timestamptz" else moment
    if np.isnan(value):
        return None
    return float(value) if holds == "float" else int(value) if holds == "integer" else bool(value)
