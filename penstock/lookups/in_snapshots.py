"""Lookups in the snapshot store: what the statement of `lookups` would have found, for tables that are gone."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from penstock.contract.contract import Lookup
from penstock.lookups.statement import LookupResult, LookupStatement
from penstock.snapshots.store import Snapshot


def look_up_stored(
    statement: LookupStatement, snapshots: Mapping[str, Snapshot], requests: Sequence[msgspec.Struct]
) -> LookupResult:
    """What n requests find in the given snapshots, by table; needs the memory of the wanted columns."""
    found = {lookup.name: _rows(lookup, snapshots[lookup.table], requests) for lookup in statement.contract.lookups}
    records = []
    for index in range(len(requests)):
        record: list[Any] = [True]
        for lookup, column in statement.wanted:
            row = found[lookup.name][index]
            record.append(None if row is None else row[column.name])
        record += [found[lookup.name][index] is not None for lookup in statement.contract.lookups]
        records.append(tuple(record))
    return statement.decode(records)


def _rows(lookup: Lookup, snapshot: Snapshot, requests: Sequence[msgspec.Struct]) -> list[dict[str, Any] | None]:
    """Each request's row of one lookup, None where there is none."""
    ours = [*lookup.key, *([lookup.as_of[0]] if lookup.as_of else [])]
    names = list(dict.fromkeys([*ours, *(column.name for column in lookup.columns)]))
    keys = [tuple(getattr(request, field) for field in lookup.key.values()) for request in requests]
    wanted = set(keys)
    kept: dict[tuple[Any, ...], list[tuple[Any, dict[str, Any]]]] = {}
    for batch in snapshot.batches():
        columns = {name: batch.column(name).to_pylist() for name in names}
        for index, key in enumerate(zip(*(columns[name] for name in lookup.key), strict=True)):
            if key in wanted:
                row = {name: _plain(columns[name][index]) for name in names}
                kept.setdefault(key, []).append((_plain(columns[ours[-1]][index]), row))
    chosen: list[dict[str, Any] | None] = []
    for key, request in zip(keys, requests, strict=True):
        rows = kept.get(key, []) if None not in key else []
        if lookup.as_of:
            until = _plain(getattr(request, lookup.as_of[1]))
            rows = sorted(rows, key=lambda pair: pair[0])
            rows = rows[: bisect_right(rows, until, key=lambda pair: pair[0])] if until is not None else []
        chosen.append(rows[-1][1] if rows else None)
    return chosen


def _plain(value: Any) -> Any:
    """Instants in UTC, as asyncpg returns them."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    return value
