"""Lookups in the snapshot store: what the statement of `lookups` would have found, for tables that are gone."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from operator import itemgetter
from typing import Any

import msgspec

from penstock.contract.columns import instant
from penstock.contract.contract import Lookup
from penstock.lookups.statement import LookupResult, LookupStatement
from penstock.snapshots.store import Snapshot


def look_up_stored(
    statement: LookupStatement, snapshots: Mapping[str, Snapshot], requests: Sequence[msgspec.Struct]
) -> LookupResult:
    """What n requests find in the given snapshots, by table; needs the memory of the wanted columns."""
    asked = statement.asked(requests)
    found = {lookup.name: _rows(lookup, snapshots[lookup.table], asked) for lookup in statement.contract.lookups}
    records = []
    for index in range(len(requests)):
        record: list[Any] = [True]
        for lookup, column in statement.wanted:
            row = found[lookup.name][index]
            record.append(None if row is None else row[column.name])
        record += [found[lookup.name][index] is not None for lookup in statement.contract.lookups]
        records.append(tuple(record))
    return statement.decode(records)


def _rows(lookup: Lookup, snapshot: Snapshot, asked: Mapping[str, Sequence[Any]]) -> list[dict[str, Any] | None]:
    """Each request's row of one lookup, None where there is none. Times of any two types are compared as instants."""
    as_of, until_field = lookup.as_of or ("", "")
    names = list(dict.fromkeys([*lookup.key, *([as_of] if as_of else []), *(one.name for one in lookup.columns)]))
    keys = [tuple(map(_comparable, key)) for key in zip(*(asked[field] for field in lookup.key.values()), strict=True)]
    wanted = set(keys)
    kept: dict[tuple[Any, ...], list[tuple[int, dict[str, Any]]]] = {}
    for batch in snapshot.batches():
        columns = {name: batch.column(name).to_pylist() for name in names}
        for index, key in enumerate(zip(*(map(_comparable, columns[name]) for name in lookup.key), strict=True)):
            if key in wanted and not (as_of and columns[as_of][index] is None):
                row = {name: plain(columns[name][index]) for name in names}
                kept.setdefault(key, []).append((instant(columns[as_of][index]) if as_of else 0, row))
    if not as_of:
        return [kept[key][-1][1] if key in kept and None not in key else None for key in keys]
    chosen: list[dict[str, Any] | None] = []
    for key, until in zip(keys, asked[until_field], strict=True):
        rows = sorted(kept.get(key, []) if None not in key and until is not None else [], key=itemgetter(0))
        at = bisect_right(rows, instant(until), key=itemgetter(0)) - 1 if rows else -1
        too_old = at >= 0 and lookup.oldest is not None and rows[at][0] < instant(until) - lookup.oldest
        chosen.append(rows[at][1] if at >= 0 and not too_old else None)
    return chosen


def _comparable(value: Any) -> Any:
    """A key's value, times as instants."""
    return instant(value) if isinstance(value, date) else value


def plain(value: Any) -> Any:
    """Instants in UTC, as asyncpg returns them."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    return value
