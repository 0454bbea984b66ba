"""Whether the columns of the replicated tables are of types that a contract's fields and kinds can be compared with."""

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.contract.contract import Contract, Kind, Lookup
from penstock.errors import ContractError
from penstock.lookups.sql import bound_types
from penstock.postgres.pointer import PinnedTables

NUMBERS = ("int2", "int4", "int8", "float4", "float8", "numeric")
TIMES = ("date", "timestamp", "timestamptz")
TEXTS = ("text", "varchar", "bpchar")
HOLDS: dict[Kind, Sequence[str]] = {"number": (*NUMBERS, "bool"), "text": TEXTS, "time": TIMES}
"""Kind of a column -> the Postgres types whose values are of that kind."""
_FAMILIES = (("int2", "int4", "int8", "numeric"), ("float4", "float8"), TIMES, TEXTS, ("bool",))
_TYPES = """
SELECT c.relname, a.attname, t.typname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'replicated'
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
WHERE c.relname = ANY($1::text[])
"""


async def demand_fit(connection: Any, contract: Contract, pointers: PinnedTables) -> None:
    """ContractError, with every column of the looked-up tables that does not fit the contract."""
    physical = {lookup.table: pointers[lookup.table].physical for lookup in contract.lookups}
    types: dict[str, dict[str, str]] = {}
    for table, column, kind in await connection.fetch(_TYPES, list(physical.values())):
        types.setdefault(table, {})[column] = kind
    faults = [
        fault
        for lookup in contract.lookups
        if (found := types.get(physical[lookup.table])) is not None
        for fault in faults_of(lookup, found, bound_types(contract))
    ]
    if faults:
        raise ContractError(
            f"lookups of model {contract.model!r}",
            expected="columns of the types that it declares",
            found="; ".join(faults),
            todo="Cast the columns in the query of the table, or correct the contract.",
        )


def faults_of(lookup: Lookup, found: Mapping[str, str], bound: Mapping[str, str]) -> list[str]:
    """What does not fit of one lookup. `found`: column -> Postgres type; `bound`: request field -> Postgres type."""
    compared = [*lookup.key.items(), *([lookup.as_of] if lookup.as_of else [])]
    faults = [
        f"column {ours!r} of table {lookup.table!r} is {found.get(ours, 'not there')}, field {theirs!r} of the request"
        f" is {bound[theirs]}"
        for ours, theirs in compared
        if not any({found.get(ours), bound[theirs]} <= set(family) for family in _FAMILIES)
    ]
    return faults + [
        f"column {column.name!r} of table {lookup.table!r} is {found.get(column.name, 'not there')}, which is no"
        f" {column.kind}"
        for column in lookup.columns
        if found.get(column.name) not in HOLDS[column.kind]
    ]
