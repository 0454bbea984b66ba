"""Lookups at serving time: one Postgres statement that looks up any number of requests, and what they find."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
import numpy as np

from penstock.contract.columns import column, enumerations, plain
from penstock.contract.contract import Contract
from penstock.digests import digests
from penstock.errors import PenstockError
from penstock.lookups.sql import STORED_ANSWER, bound_types, fields_of, statement, tables_of
from penstock.postgres.pointer import PinnedTables

UNDEFINED_TABLE = "42P01"
NOTHING = b"null"

Columns = dict[str, np.ndarray[Any, Any]]


class LookupFailure(PenstockError):
    """The replicated tables that a contract needs are not there, or do not stand still."""


class LookupPart(NamedTuple):
    """What n requests find in one lookup.

    - `columns`: `lookup.column` to array.
    - `rows`: each request's row as a member of a JSON object, see `member`.
    - `lost`: the places of the requests that found no row.
    """

    columns: Columns
    rows: Sequence[bytes]
    lost: Sequence[int]


class LookupResult(msgspec.Struct, frozen=True, gc=False):
    """What n requests find in all lookups.

    - `columns`: `lookup.column` to array.
    - `rows`: each request's rows as one JSON object.
    - `missing`: each request's lookups that found no row.
    """

    columns: Columns
    rows: list[bytes]
    missing: list[tuple[str, ...]]

    def digests(self) -> list[bytes]:
        """The 16-byte digest of each request's rows."""
        return digests(self.rows)


class LookupStatement:
    """The statement of one contract against the physical tables of given pointers.

    - It looks up n requests at once and returns one record for each: the column `fresh`, the looked-up columns, and
      for each lookup whether it found a row.
    - `fresh` is false once a pointer has moved, so what was read is never a mixture of two snapshots.
    - `previous` adds the newest stored answer about each entity (STORED_ANSWER).
    - `pinned` leaves `fresh` true: the tables are wanted as they were.
    - `known` names lookups that the statement leaves out, because their parts come from elsewhere.
    """

    def __init__(
        self,
        contract: Contract,
        pointers: PinnedTables,
        *,
        previous: bool = False,
        pinned: bool = False,
        known: Collection[str] = (),
    ) -> None:
        for lookup in contract.lookups:
            if lookup.table not in pointers:
                raise LookupFailure(
                    f"replicated table {lookup.table!r}",
                    expected="a published snapshot",
                    found="none in this book",
                    todo=f"Publish it: `penstock publish {lookup.table}`.",
                )
        self.contract = contract
        self.snapshots = {table: pointers[table].snapshot for table in tables_of(contract)}
        self._names_of_lookups = tuple(lookup.name for lookup in contract.lookups)
        self._fields = fields_of(contract)
        self._zoned = [name for name in self._fields if bound_types(contract)[name] == "timestamptz"]
        self._enumerated = enumerations(contract.request) & set(self._fields)
        self._lookups = [lookup for lookup in contract.lookups if lookup.name not in known]
        wanted = [(lookup, column) for lookup in self._lookups for column in lookup.columns]
        wanted.sort(key=lambda pair: pair[1].kind != "number")  # numbers side by side, decoded as one matrix
        self.sql = statement(contract, pointers, self._lookups, wanted, previous=previous, pinned=pinned)
        self.wanted = tuple(wanted)
        self._names = [f"{lookup.name}.{column.name}" for lookup, column in wanted]
        self._kinds = [column.kind for _, column in wanted]
        self._numbers = self._kinds.count("number")
        self._start = 1 + len(STORED_ANSWER) * previous
        self._found = self._start + len(wanted)
        self._place = {name: self._start + index for index, name in enumerate(self._names)}

    def arguments(self, requests: Sequence[msgspec.Struct], entities: Sequence[bytes] = ()) -> list[list[Any]]:
        """The values to bind: the entities (empty ones if not given), then each wanted request field."""
        columns = self.asked(requests)
        return [list(entities) or [b""] * len(requests), *(columns[name] for name in self._fields)]

    def asked(self, requests: Sequence[msgspec.Struct]) -> dict[str, list[Any]]:
        """The fields that lookups need, as columns; an instant without a zone is one in UTC."""
        columns = {name: [getattr(request, name) for request in requests] for name in self._fields}
        for name in self._enumerated:
            columns[name] = plain(columns[name])
        for name in self._zoned:
            columns[name] = [
                value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value
                for value in columns[name]
            ]
        return columns

    def assemble(self, parts: Mapping[str, LookupPart], count: int) -> LookupResult:
        """The parts of all lookups, by name, as the result of n requests."""
        names = self._names_of_lookups
        columns: Columns = {}
        for name in names:
            columns |= parts[name].columns
        found = list(zip(*(parts[name].rows for name in names), strict=True)) if names else [()] * count
        missing: list[tuple[str, ...]] = [()] * count
        for name in names:
            for place in parts[name].lost:
                missing[place] += (name,)
        return LookupResult(columns, [b"{%b}" % b",".join(rows) for rows in found], missing)

    def decode(self, records: Sequence[Any], known: Mapping[str, LookupPart] | None = None) -> LookupResult:
        """The result of the requests, from the fetched records and the parts of the `known` lookups."""
        parts = dict(known or {})
        start, middle = self._start, self._start + self._numbers
        matrix = np.array([record[start:middle] for record in records], dtype=np.float64).reshape(
            len(records), self._numbers
        )
        columns: Columns = dict(zip(self._names, np.ascontiguousarray(matrix.T), strict=False))
        for index in range(self._numbers, len(self._names)):
            columns[self._names[index]] = column([record[start + index] for record in records], self._kinds[index])
        for place, lookup in enumerate(self._lookups, self._found):
            names = [column.name for column in lookup.columns]
            values = _getter([self._place[name] for name in lookup.column_names()])
            rows = [
                encode_row(dict(zip(names, values(record), strict=True))) if record[place] else NOTHING
                for record in records
            ]
            found = {name: columns[name] for name in lookup.column_names()}
            lost = [at for at, row in enumerate(rows) if row is NOTHING]
            parts[lookup.name] = LookupPart(found, [member(lookup.name, row) for row in rows], lost)
        return self.assemble(parts, len(records))

    def decode_rows(self, rows: Sequence[bytes | str]) -> LookupResult:
        """The same from JSON rows as the journal keeps them, to the bit."""
        documents = [msgspec.json.decode(row) for row in rows]
        columns: Columns = {}
        for name, kind in zip(self._names, self._kinds, strict=True):
            lookup, _, wanted = name.partition(".")
            values = [(document.get(lookup) or {}).get(wanted) for document in documents]
            if kind == "number":
                values = [None if value is None else float(value) for value in values]
            elif kind == "time":
                values = [None if value is None else datetime.fromisoformat(value) for value in values]
            columns[name] = column(values, kind)
        missing = [tuple(one.name for one in self._lookups if document.get(one.name) is None) for document in documents]
        return LookupResult(columns, [row.encode() if isinstance(row, str) else row for row in rows], missing)


def member(lookup: str, row: bytes) -> bytes:
    """A lookup's row, or NOTHING, as the member of a JSON object."""
    return b"%b:%b" % (_encode(lookup), row)


def encode_row(row: dict[str, Any]) -> bytes:
    """A row as JSON. JSON has no infinities: they become the texts that `float` reads."""
    if np.inf in row.values() or -np.inf in row.values():
        row = {name: str(value) if value in (np.inf, -np.inf) else value for name, value in row.items()}
    return _encode(row)


def _getter(places: list[int]) -> Any:
    if len(places) == 1:
        return lambda record, place=places[0]: (record[place],)
    return itemgetter(*places)


_encode = msgspec.json.Encoder().encode
