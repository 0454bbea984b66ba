"""Loading a lookup's replicated table into memory, in pieces between which a replica answers."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np

from model_tools.columns import column, instant
from model_tools.contract import Lookup
from resources.cached_lookup import CachedLookup, Stored, Uncacheable, comparison, instants, kept_as, keys_of
from resources.lookup_sql import Pointer, quoted

MOST_ROWS = 400_000
MOST_BYTES = 48_000_000
KEY_BYTES = 200
PIECE = 500
EXACT = 2.0**53

Array = np.ndarray[Any, Any]


async def load(connection: Any, lookup: Lookup, pointer: Pointer, bound: Mapping[str, str]) -> CachedLookup:
    """The table that a pointer names, through an asyncpg connection; Uncacheable where it has to stay in Postgres.

    `bound` is the Postgres type of each request field.
    """
    if pointer.rows > MOST_ROWS:
        raise Uncacheable(f"{pointer.rows} rows, more than the {MOST_ROWS} kept in memory")
    names = [*lookup.key, *([lookup.as_of[0]] if lookup.as_of else []), *(c.name for c in lookup.columns)]
    selected = ", ".join(quoted(name) for name in names)
    async with connection.transaction(readonly=True):
        prepared = await connection.prepare(f"SELECT {selected} FROM replicated.{quoted(pointer.physical)}")
        held = [attribute.type.name for attribute in prepared.get_attributes()]
        rows = _Rows(lookup, dict(zip(names, held, strict=True)), bound)
        cursor = await prepared.cursor()
        while records := await cursor.fetch(PIECE):
            rows.add(records)
            await asyncio.sleep(0)
    return await asyncio.to_thread(rows.cached)


class _Rows:
    """The rows so far, column by column."""

    def __init__(self, lookup: Lookup, held: Mapping[str, str], bound: Mapping[str, str]) -> None:
        self._lookup = lookup
        self._keys = [comparison(ours, theirs, held[ours], bound[theirs]) for ours, theirs in lookup.key.items()]
        if lookup.as_of:
            ours, theirs = lookup.as_of
            if not comparison(ours, theirs, held[ours], bound[theirs]).is_time:
                raise Uncacheable(f"column {ours!r} holds no times")
        self._holds = {one.name: kept_as(one.name, one.kind, held[one.name]) for one in lookup.columns}
        self._groups: dict[Any, int] = {}
        self._texts: dict[str, str] = {}
        self._kept = 0
        self._pieces: list[list[Array]] = []
        self._first = len(self._keys) + bool(lookup.as_of)

    def add(self, records: Sequence[Any]) -> None:
        """Add fetched rows, without those that no request can find."""
        first, lookup = self._first, self._lookup
        records = [record for record in records if None not in record[:first]]
        self._kept += len(records)
        keys = []
        for place, key in enumerate(self._keys):
            values = [record[place] for record in records]
            keys.append(instants(values) if key.is_time else values)
        groups = self._groups
        made_up = keys_of(keys, len(records))
        piece = [np.array([groups.setdefault(key, len(groups)) for key in made_up], dtype=np.int64)]
        if lookup.as_of:
            piece.append(np.array([_instant(record[first - 1]) for record in records], dtype=np.int64))
        for place, wanted in enumerate(lookup.columns, first):
            values = [record[place] for record in records]
            if wanted.kind == "text":
                values = [value and self._texts.setdefault(value, value) for value in values]
            elif wanted.kind == "time":
                for value in values:
                    value is None or _instant(value)
            made = column(values, wanted.kind)
            if self._holds[wanted.name] == "integer" and np.any(np.abs(made) >= EXACT):
                raise Uncacheable(f"an integer of {wanted.name!r} beyond 2^53")
            piece.append(made)
        self._pieces.append(piece)
        if self._kept * 8 * len(piece) + KEY_BYTES * (len(groups) + len(self._texts)) > MOST_BYTES:
            raise Uncacheable(f"more than {MOST_BYTES} bytes")

    def cached(self) -> CachedLookup:
        """All rows, ready to be found; Uncacheable where a request could match several."""
        lookup = self._lookup
        if not self._pieces:
            self.add([])
        group, *columns = (np.concatenate(pieces) for pieces in zip(*self._pieces, strict=True))
        self._pieces.clear()
        times = None
        if lookup.as_of:
            times = columns.pop(0)
            order = np.lexsort((times, group))
            group, times, columns = group[order], times[order], [values[order] for values in columns]
            if np.any((group[1:] == group[:-1]) & (times[1:] == times[:-1])):
                raise Uncacheable("two rows of one key and time")
        elif len(self._groups) != len(group):
            raise Uncacheable("two rows of one key")
        by_kind = list(zip(lookup.columns, columns, strict=True))
        numbers = np.full((len(group) + 1, sum(one.kind == "number" for one, _ in by_kind)), np.nan)
        for place, values in enumerate(values for one, values in by_kind if one.kind == "number"):
            numbers[:-1, place] = values
        others = [np.append(values, column([None], one.kind)) for one, values in by_kind if one.kind != "number"]
        return CachedLookup(lookup, self._holds, self._keys, Stored(self._groups, group, times, numbers, others))


def _instant(value: datetime | date) -> int:
    """An instant of the table; Uncacheable for the infinite ones, which are read as the first and the last."""
    if not 1 < value.year < 9999:
        raise Uncacheable("an infinite time")
    return instant(value)
