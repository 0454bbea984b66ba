"""Lookups in the warehouse itself: the join of training, over a few requests, as the dev book answers them."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa

from penstock.contract.contract import Contract
from penstock.extract.training_join import found_name, training_query
from penstock.lookups.in_snapshots import plain
from penstock.lookups.sql import bound_types, fields_of, tables_of
from penstock.lookups.statement import LookupFailure, LookupResult, LookupStatement
from penstock.postgres.pointer import PinnedTable
from penstock.quantity import counted
from penstock.rows.conform import conform
from penstock.rows.types import stored_schema
from penstock.warehouse.interface import Warehouse, quoted

PLACE = "penstock_place"
STANDARD = {
    "int8": "bigint",
    "float8": "double precision",
    "bool": "boolean",
    "text": "varchar",
    "timestamptz": "timestamp with time zone",
}
"""Names of types in Postgres -> those of standard SQL. int8 is a byte, or nothing, elsewhere."""
MOST_AT_ONCE = 200
"""Requests of one query: each is a SELECT of its own in it."""


class WarehouseLookups:
    """The lookups of one contract in a warehouse. `queries`: replicated table -> the query that extracts it.

    What is found is what the service would find in a book to which these tables were published now.
    """

    def __init__(self, warehouse: Warehouse, contract: Contract, queries: Mapping[str, str]) -> None:
        self._warehouse, self._contract, self._queries = warehouse, contract, queries
        self._natural: dict[str, str] = {}
        pinned = {table: PinnedTable(table, "", "") for table in tables_of(contract)}
        self._statement = LookupStatement(contract, pinned, pinned=True)

    def look_up(self, requests: Sequence[msgspec.Struct]) -> LookupResult:
        """What n requests find. WarehouseError if the warehouse is away or refuses."""
        records: list[tuple[Any, ...]] = []
        for first in range(0, len(requests), MOST_AT_ONCE):
            records += self._records(requests[first : first + MOST_AT_ONCE])
        return self._statement.decode(records)

    def _records(self, requests: Sequence[msgspec.Struct]) -> list[tuple[Any, ...]]:
        """One record for each request, as the statement of a book returns them."""
        lookups, wanted = self._contract.lookups, self._statement.wanted
        if not lookups:
            return [(True,)] * len(requests)
        base, bound = self._asking(requests)
        self._natural = self._natural or {name: self._warehouse.natural(sql) for name, sql in self._queries.items()}
        asked = self._warehouse.natural(base, bound)
        query = training_query(self._contract, asked, self._natural, self._warehouse.dialect, every_row=True)
        names = [PLACE, *(f"{lookup.name}.{column.name}" for lookup, column in wanted), *map(found_name, lookups)]
        with self._warehouse.batches(query, bound, hash_joins=True) as batches:
            schema = stored_schema(pa.schema([batches.schema.field(name) for name in names]), "lookups", for_book=False)
            rows = [row for batch in batches for row in conform(batch.select(names), schema, "lookups", ()).to_pylist()]
        if sorted(row[PLACE] for row in rows) != list(range(len(requests))):
            raise LookupFailure(
                f"lookups of model {self._contract.model!r}",
                expected="at most one row for each request",
                found=f"{counted(len(rows), 'row')} for {counted(len(requests), 'request')}",
                todo="Keys of replicated tables have to be unique: correct their queries.",
            )
        rows.sort(key=lambda row: row[PLACE])
        columns, founds = names[1 : 1 + len(wanted)], names[1 + len(wanted) :]
        return [(True, *(plain(row[name]) for name in columns), *(row[name] == 1 for name in founds)) for row in rows]

    def _asking(self, requests: Sequence[msgspec.Struct]) -> tuple[str, dict[str, Any]]:
        """A query of the requests, each with its place, and the values that it binds."""
        asked, types, fields = self._statement.asked(requests), bound_types(self._contract), fields_of(self._contract)
        bound = {
            f"penstock_{place}_{number}": asked[field][place]
            for place in range(len(requests))
            for number, field in enumerate(fields)
        }
        selects = []
        for place in range(len(requests)):
            columns = [
                f"CAST(:penstock_{place}_{number} AS {STANDARD.get(types[field], types[field])}) AS {quoted(field)}"
                for number, field in enumerate(fields)
            ]
            selects.append(f"SELECT {', '.join([f'{place} AS {PLACE}', *columns])}")
        return "\nUNION ALL ".join(selects), bound
