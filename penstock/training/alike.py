"""Keys that a warehouse takes for equal by a type such as citext, or a collation, where a service compares bytes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock.contract.contract import Contract, Lookup
from penstock.declare.table import ReplicatedTable
from penstock.quantity import counted
from penstock.warehouse.interface import Warehouse, WarehouseError, quoted
from penstock.warehouse.query_text import subquery


def alike_by_type(
    warehouse: Warehouse, query: str, window: Mapping[str, Any], contract: Contract, tables: Sequence[ReplicatedTable]
) -> Iterator[str]:
    """One sentence for each lookup that finds fewer rows than the warehouse's own comparison of its keys would."""
    fields = contract.request_kinds()
    queries = {table.name: table.query for table in tables}
    for lookup in contract.lookups:
        if lookup.table not in queries or not any(fields.get(field) == "text" for field in lookup.key.values()):
            continue
        by_bytes = _found(warehouse, query, window, lookup, queries[lookup.table], by_bytes=True)
        try:
            more = _found(warehouse, query, window, lookup, queries[lookup.table], by_bytes=False) - by_bytes
        except WarehouseError:  # it compares columns of these types in no way
            continue
        if more > 0:
            own, field = next((own, field) for own, field in lookup.key.items() if fields.get(field) == "text")
            yield (
                f"lookup {lookup.name} misses {counted(more, 'row')} whose {field} equals {own} of {lookup.table} by a"
                " type such as citext, or a collation, and not byte by byte, as the service compares them: bring both"
                f" into one form in the queries, such as lower(CAST({quoted(own)} AS VARCHAR)), and let callers send it"
            )


def _found(
    warehouse: Warehouse, query: str, window: Mapping[str, Any], lookup: Lookup, table: str, *, by_bytes: bool
) -> int:
    """How many of the rows have one of the table, whenever that was known."""
    sides = []
    for what, source, names, bound in (
        ("*", query, lookup.key.values(), window),
        ("DISTINCT *", table, lookup.key, {}),
    ):
        keys = ", ".join(f"{quoted(name)} AS k{number}" for number, name in enumerate(names))
        side = f"SELECT {keys} FROM (\n{subquery(source)}) AS source"
        side = warehouse.natural(side, bound) if by_bytes else side
        sides.append(f"SELECT {what} FROM (\n{side}) AS keys")
    theirs = [""] * len(lookup.key) if by_bytes else _types(warehouse, sides[1], len(lookup.key))
    equal = " AND ".join(
        f"CAST(a.k{number} AS {kind}) = b.k{number}" if kind else f"a.k{number} = b.k{number}"
        for number, kind in enumerate(theirs)
    )
    counting = f"SELECT count(*) AS n FROM (\n{sides[0]}) AS a JOIN (\n{sides[1]}) AS b ON {equal}"
    with warehouse.batches(counting, window) as batches:
        return int(next(row["n"] for batch in batches for row in batch.to_pylist()))


def _types(warehouse: Warehouse, side: str, columns: int) -> list[str]:
    """The types of a table's keys in which Postgres has to be asked: beside a text it compares citext by its bytes."""
    if warehouse.dialect != "postgresql":
        return [""] * columns
    names = ", ".join(f"CAST(pg_typeof(k{number}) AS text) AS t{number}" for number in range(columns))
    with warehouse.batches(f"SELECT {names} FROM (\n{side}) AS keys LIMIT 1") as batches:
        row: dict[str, str] = next((row for batch in batches for row in batch.to_pylist()), {})
    return [kind if kind.endswith("citext") else "" for kind in (row.get(f"t{n}", "") for n in range(columns))]
