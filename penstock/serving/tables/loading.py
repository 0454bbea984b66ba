"""Loading a lookup's replicated table into memory, in pieces between which a replica answers."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np

from penstock.contract.columns import column, instant
from penstock.contract.contract import Lookup
from penstock.postgres.pointer import Pointer
from penstock.postgres.quoting import quoted
from penstock.quantity import counted
from penstock.serving.tables.in_memory import (
    CachedLookup,
    TableColumns,
    UncacheableTable,
    comparison,
    instants,
    kept_as,
    keys_of,
)

MOST_ROWS = 400_000
MOST_BYTES = 48_000_000
KEY_BYTES = 200
PIECE = 500
EXACT = 2.0**53

Array = np.ndarray[Any, Any]


async def load(connection: Any, lookup: Lookup, pointer: Pointer, bound: Mapping[str, str]) -> CachedLookup:
    """The table that a pointer names, through an asyncpg connection; UncacheableTable if it has to stay in Postgres.

    `bound` is the Postgres type of each request field.
    """
    if pointer.rows > MOST_ROWS:
        raise UncacheableTable(f"{counted(pointer.rows, 'row')}, more than the {MOST_ROWS} kept in memory")
    names = [*lookup.key, *([lookup.as_of[0]] if lookup.as_of else []), *(c.name for c in lookup.columns)]
    selected = ", ".join(quoted(name) for name in names)
    async with connection.transaction(readonly=True):
        prepared = await connection.prepare(f"SELECT {selected} FROM replicated.{quoted(pointer.physical)}")
        held = [attribute.type.name for attribute in prepared.get_attributes()]
        rows = _Rows(lookup, dict(zip(names, held, strict=True)), bound, pointer.rows)
        cursor = await prepared.cursor()
        while records := await cursor.fetch(PIECE):
            rows.add(records)
            await asyncio.sleep(0)
    return await asyncio.to_thread(rows.cached)


class _Rows:
    """The rows fetched so far. The arrays are allocated for the whole table at once: joining pieces later would leave
    holes in memory that the process keeps."""

    def __init__(self, lookup: Lookup, held: Mapping[str, str], bound: Mapping[str, str], most: int) -> None:
        self._lookup = lookup
        self._keys = [comparison(ours, theirs, held[ours], bound[theirs]) for ours, theirs in lookup.key.items()]
        if lookup.as_of:
            ours, theirs = lookup.as_of
            if not comparison(ours, theirs, held[ours], bound[theirs]).is_time:
                raise UncacheableTable(f"column {ours!r} holds no times")
        self._holds = {one.name: kept_as(one.name, one.kind, held[one.name]) for one in lookup.columns}
        self._groups: dict[Any, int] = {}
        self._texts: dict[str, str] = {}
        self._kept = 0
        self._first = len(self._keys) + bool(lookup.as_of)
        columns = list(enumerate(lookup.columns, self._first))
        self._wanted_numbers = [(place, one) for place, one in columns if one.kind == "number"]
        self._wanted_others = [(place, one) for place, one in columns if one.kind != "number"]
        self._group = np.empty(most, np.int64)
        self._times = np.empty(most if lookup.as_of else 0, np.int64)
        self._numbers = np.empty((most, len(self._wanted_numbers)))
        self._others = [np.empty(most, column([], one.kind).dtype) for _, one in self._wanted_others]

    def add(self, records: Sequence[Any]) -> None:
        """Add fetched rows, without those that no request can find."""
        first = self._first
        records = [record for record in records if None not in record[:first]]
        begin, self._kept = self._kept, self._kept + len(records)
        if self._kept > len(self._group):
            raise UncacheableTable(f"more than the {len(self._group)} rows that were published")
        new = slice(begin, self._kept)
        keys = []
        for place, key in enumerate(self._keys):
            values = [record[place] for record in records]
            keys.append(instants(values) if key.is_time else values)
        groups = self._groups
        self._group[new] = [groups.setdefault(key, len(groups)) for key in keys_of(keys, len(records))]
        if self._lookup.as_of:
            self._times[new] = [_instant(record[first - 1]) for record in records]
        for at, (place, wanted) in enumerate(self._wanted_numbers):
            made = column([record[place] for record in records], "number")
            if self._holds[wanted.name] == "integer" and np.any(np.abs(made) >= EXACT):
                raise UncacheableTable(f"an integer of {wanted.name!r} beyond 2^53")
            self._numbers[new, at] = made
        for kept, (place, wanted) in zip(self._others, self._wanted_others, strict=True):
            values = [record[place] for record in records]
            if wanted.kind == "text":
                values = [value and self._texts.setdefault(value, value) for value in values]
            else:
                for value in values:
                    value is None or _instant(value)
            kept[new] = column(values, wanted.kind)
        width = self._first + len(self._lookup.columns)
        if self._kept * 8 * width + KEY_BYTES * (len(groups) + len(self._texts)) > MOST_BYTES:
            raise UncacheableTable(f"more than {MOST_BYTES} bytes")

    def cached(self) -> CachedLookup:
        """All rows as a CachedLookup; UncacheableTable if a request could match several."""
        lookup, kept = self._lookup, self._kept
        group, times, order = self._group[:kept], None, np.arange(kept)
        if lookup.as_of:
            order = np.lexsort((self._times[:kept], group))
            group, times = group[order], self._times[:kept][order]
            if np.any((group[1:] == group[:-1]) & (times[1:] == times[:-1])):
                raise UncacheableTable("two rows of one key and time")
        elif len(self._groups) != kept:
            raise UncacheableTable("two rows of one key")
        numbers = np.full((kept + 1, len(self._wanted_numbers)), np.nan)
        np.take(self._numbers[:kept], order, axis=0, out=numbers[:-1])
        others = [
            np.append(values[:kept][order], column([None], one.kind))
            for values, (_, one) in zip(self._others, self._wanted_others, strict=True)
        ]
        return CachedLookup(lookup, self._holds, self._keys, TableColumns(self._groups, group, times, numbers, others))


def _instant(value: datetime | date) -> int:
    """A time as microseconds; UncacheableTable for an infinite one, which asyncpg returns as the first or last time."""
    if not 1 < value.year < 9999:
        raise UncacheableTable("an infinite time")
    return instant(value)
