"""The SQL of serving-time lookups: built from a contract and the pointers of its book, values always bound."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from penstock.contract.contract import Column, Contract, Lookup
from penstock.contract.request_types import choices, plain_types
from penstock.postgres.pointer import PinnedTable, PinnedTables
from penstock.postgres.quoting import literal, quoted

# Every lookup must go through an index (the publish proves that it can), and no request pays for planning.
SESSION = {
    "application_name": "penstock lookups",
    "timezone": "UTC",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
}
_BOUND_TYPES = {
    msgspec.inspect.IntType: "int8",
    msgspec.inspect.FloatType: "float8",
    msgspec.inspect.BoolType: "bool",
    msgspec.inspect.DateType: "date",
}
STORED_ANSWER = {
    "id": "stored.id",
    "input": "stored.input",
    "looked_up": "stored.looked_up",
    "release": "stored.release",
    "prediction": "stored.prediction",
    "made_by": "o.release",
    "snapshots": "o.snapshots",
}
"""Output column -> SQL expression, for the entity's newest stored answer (`stored` is app.latest_answer, `o` its
app.origin row)."""


def tables_of(contract: Contract) -> list[str]:
    """The replicated tables that a contract looks up in, in name order."""
    return sorted({lookup.table for lookup in contract.lookups})


def fields_of(contract: Contract) -> tuple[str, ...]:
    """The request fields that lookups need, in name order."""
    return tuple(
        sorted(
            {field for lookup in contract.lookups for field in lookup.key.values()}
            | {lookup.as_of[1] for lookup in contract.lookups if lookup.as_of}
        )
    )


def statement(
    contract: Contract,
    pointers: PinnedTables,
    lookups: Sequence[Lookup],
    wanted: Sequence[tuple[Lookup, Column]],
    *,
    previous: bool,
    pinned: bool,
) -> str:
    """The lookup statement of n requests.

    - It returns `fresh`, with `previous` the columns of STORED_ANSWER, the wanted columns, and for each of `lookups`
      whether it found a row.
    - $1 is the array of entities, $2 and on the arrays of `fields_of`, all of n elements.
    """
    types = bound_types(contract)
    fields = fields_of(contract)
    arrays = ["$1::bytea[]"] + [f"${n}::{types[name]}[]" for n, name in enumerate(fields, 2)]
    inputs = ["entity", *(f"in_{n}" for n, _ in enumerate(fields))]  # a name of 63 bytes leaves no room for more
    selected = ["true" if pinned else unmoved([pointers[table] for table in tables_of(contract)])]
    joins = []
    if previous:
        selected += STORED_ANSWER.values()
        model = literal(contract.model)
        joins.append(f"LEFT JOIN app.latest_answer stored ON stored.model = {model} AND stored.entity = i.entity")
        joins.append("LEFT JOIN app.origin o ON o.id = stored.origin")
    alias = {lookup.name: f"l{n}" for n, lookup in enumerate(lookups)}
    selected += [f"{alias[lookup.name]}.{quoted(column.name)}" for lookup, column in wanted]
    selected += [f"{alias[lookup.name]}.found IS NOT NULL" for lookup in lookups]
    asked = {name: f"i.in_{n}" for n, name in enumerate(fields)}
    joins += [_join(lookup, pointers[lookup.table], alias[lookup.name], asked) for lookup in lookups]
    lines = [
        f"SELECT {', '.join(selected)}",
        f"FROM unnest({', '.join(arrays)}) WITH ORDINALITY AS i({', '.join(inputs)}, n)",
        *joins,
        "ORDER BY i.n",
    ]
    return "\n".join(lines)


def bound_types(contract: Contract) -> dict[str, str]:
    """Request field to the Postgres type in which it is bound."""
    return {field.name: _bound_type(field.type) for field in msgspec.structs.fields(contract.request)}


def _join(lookup: Lookup, pointer: PinnedTable, alias: str, asked: Mapping[str, str]) -> str:
    """One lookup as a lateral subquery that returns at most one row: the newest that is neither after the as-of field
    nor too old at it."""
    columns = [f"t.{quoted(column.name)}" for column in lookup.columns]
    where = [f"t.{quoted(ours)} = {asked[theirs]}" for ours, theirs in lookup.key.items()]
    order = ""
    if lookup.as_of:
        ours, theirs = lookup.as_of
        where.append(f"t.{quoted(ours)} <= {asked[theirs]}")
        if lookup.oldest is not None:  # in microseconds, because a day is not as long in every zone
            age = f"interval '{lookup.oldest} microseconds'"
            where.append(f"t.{quoted(ours)} >= {asked[theirs]} - {age}")
        order = f" ORDER BY t.{quoted(ours)} DESC"
    return (
        f"LEFT JOIN LATERAL (SELECT true AS found, {', '.join(columns)} FROM replicated.{quoted(pointer.physical)} t"
        f" WHERE {' AND '.join(where)}{order} LIMIT 1) {alias} ON true"
    )


def unmoved(pointers: Sequence[PinnedTable]) -> str:
    """The SQL condition, evaluated once per statement, that all of these pointers are still current."""
    if not pointers:
        return "true"
    wanted = ", ".join(f"({literal(p.table)}, {literal(p.snapshot)}, {literal(p.physical)})" for p in pointers)
    return (
        f"(SELECT count(*) = {len(pointers)} FROM replicated.current"
        f" WHERE (table_name, snapshot, physical) IN ({wanted}))"
    )


def _bound_type(annotation: Any) -> str:
    """The Postgres type in which a request field of this type is bound."""
    for member in plain_types(annotation):
        if isinstance(member, msgspec.inspect.DateTimeType):
            return "timestamp" if member.tz is False else "timestamptz"
        if isinstance(member, msgspec.inspect.EnumType | msgspec.inspect.LiteralType):
            return "text" if isinstance(choices(member)[0], str) else "int8"
        for kind, bound in _BOUND_TYPES.items():
            if isinstance(member, kind):
                return bound
    return "text"
