"""Whether the columns of the replicated tables are of types that a contract's fields and kinds can be compared with."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock.contract.contract import Contract, Lookup
from penstock.contract.request_types import Kind
from penstock.errors import ContractError
from penstock.lookups.sql import bound_types
from penstock.postgres.pointer import PinnedTables, pointers

if TYPE_CHECKING:
    import psycopg  # a replica asks through asyncpg

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
WHERE c.relname = ANY({names}::text[])
"""


async def demand_fit(connection: Any, contract: Contract, current: PinnedTables) -> None:
    """ContractError, with every column of the looked-up tables that does not fit the contract. Through asyncpg."""
    types = await types_of(connection, [current[lookup.table].physical for lookup in contract.lookups])
    demand_none(contract, misfits(contract, current, types))


async def types_of(connection: Any, physical: Iterable[str]) -> Sequence[Sequence[str]]:
    """The rows of physical table, column and type in the catalog, through asyncpg."""
    rows: Sequence[Sequence[str]] = await connection.fetch(_TYPES.format(names="$1"), list(physical))
    return rows


def misfits_in(connection: "psycopg.Connection", contract: Contract) -> dict[str, list[str]]:
    """Looked-up table -> what of its current content does not fit the contract; nothing where there is none."""
    current = {name: one for name, one in pointers(connection).items() if name in {x.table for x in contract.lookups}}
    physical = [one.physical for one in current.values()]
    return misfits(contract, current, connection.execute(_TYPES.format(names="%s"), (physical,)).fetchall())


def misfits(contract: Contract, current: PinnedTables, rows: Iterable[Sequence[str]]) -> dict[str, list[str]]:
    """Table -> what does not fit the contract, by `rows` of physical table, column and type. A table that is gone
    meanwhile has no faults."""
    types: dict[str, dict[str, str]] = {}
    for table, column, kind in rows:
        types.setdefault(table, {})[column] = kind
    faults: dict[str, list[str]] = {}
    for lookup in contract.lookups:
        found = types.get(current[lookup.table].physical) if lookup.table in current else None
        if found is not None and (of_lookup := faults_of(lookup, found, bound_types(contract))):
            faults.setdefault(lookup.table, []).extend(of_lookup)
    return faults


def demand_none(contract: Contract, faults: Mapping[str, Sequence[str]]) -> None:
    """ContractError with all of the faults."""
    if faults:
        raise ContractError(
            f"lookups of model {contract.model!r}",
            expected="columns of the types that it declares",
            found="; ".join(fault for of_table in faults.values() for fault in of_table),
            todo=f"Cast or add the columns in the query of the table, or correct the contract; then `penstock publish "
            f"{' '.join(faults)}`.",
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
    for column in lookup.columns:
        of = f"column {column.name!r} of table {lookup.table!r}"
        if column.name not in found:
            faults.append(f"{of} is not there")
        elif found[column.name] not in HOLDS[column.kind]:
            faults.append(f"{of} is {found[column.name]}, which is no {column.kind}")
    return faults
