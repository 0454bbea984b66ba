"""Lookups at serving time: one Postgres statement that looks up any number of requests, from the contract alone."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

import msgspec
import numpy as np

from penstock.contract.columns import column
from penstock.contract.contract import Contract
from penstock.errors import PenstockError
from penstock.lookups.found import NOTHING, Columns, Looked, Part, assembler, encode_row, member
from penstock.lookups.sql import PREVIOUS, SESSION, bound_types, fields_of, statement, tables_of
from penstock.postgres.pointer import PinnedTables, read_pointers

UNDEFINED_TABLE = "42P01"
MOST_SWITCHES = 20


class LookupFailed(PenstockError):
    """The replicated tables that a contract needs are not there, or do not stand still."""


class LookupStatement:
    """The statement of one contract against the physical tables of given pointers.

    It answers n requests at once: a column `fresh` that is false once a pointer has moved (so what was read is never
    a mixture of two snapshots), then the looked-up columns, then whether each lookup found a row. With `previous`
    it also gives the newest stored answer about each entity. `known` are lookups that it leaves out.
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
                raise LookupFailed(
                    f"replicated table {lookup.table!r}",
                    expected="a published snapshot",
                    found="none in this book",
                    todo=f"Publish it: `penstock publish {lookup.table}`.",
                )
        self.contract = contract
        self.snapshots = {table: pointers[table].snapshot for table in tables_of(contract)}
        self.assemble = assembler(contract)
        self._fields = fields_of(contract)
        self._zoned = [name for name in self._fields if bound_types(contract)[name] == "timestamptz"]
        self._lookups = [lookup for lookup in contract.lookups if lookup.name not in known]
        wanted = [(lookup, column) for lookup in self._lookups for column in lookup.columns]
        wanted.sort(key=lambda pair: pair[1].kind != "number")  # numbers side by side, decoded as one matrix
        self.sql = statement(contract, pointers, self._lookups, wanted, previous=previous, pinned=pinned)
        self.wanted = tuple(wanted)
        self._names = [f"{lookup.name}.{column.name}" for lookup, column in wanted]
        self._kinds = [column.kind for _, column in wanted]
        self._numbers = self._kinds.count("number")
        self._start = 1 + len(PREVIOUS) * previous
        self._found = self._start + len(wanted)
        self._place = {name: self._start + index for index, name in enumerate(self._names)}

    def arguments(self, requests: Sequence[msgspec.Struct], entities: Sequence[bytes] = ()) -> list[list[Any]]:
        """The values to bind: the entities (empty ones if not given), then each wanted request field."""
        columns = self.asked(requests)
        return [list(entities) or [b""] * len(requests), *(columns[name] for name in self._fields)]

    def asked(self, requests: Sequence[msgspec.Struct]) -> dict[str, list[Any]]:
        """The fields that lookups need, as columns; an instant without a zone is one in UTC."""
        columns = {name: [getattr(request, name) for request in requests] for name in self._fields}
        for name in self._zoned:
            columns[name] = [
                value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value
                for value in columns[name]
            ]
        return columns

    def decode(self, records: Sequence[Any], known: Mapping[str, Part] | None = None) -> Looked:
        """The fetched records, with the parts that were left out, as what the requests found."""
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
            parts[lookup.name] = Part(found, [member(lookup.name, row) for row in rows], lost)
        return self.assemble(parts, len(records))

    def decode_rows(self, rows: Sequence[bytes | str]) -> Looked:
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
        return Looked(columns, [row.encode() if isinstance(row, str) else row for row in rows], missing)


async def look_up(
    connection: Any, contract: Contract, requests: Sequence[msgspec.Struct], pointers: PinnedTables | None = None
) -> tuple[Looked, dict[str, str]]:
    """What n requests find, and the snapshot ids that were really read; `pointers` pins the physical tables.

    The requests need their `asked_at`. LookupFailed where a table is not published or its pointer keeps moving.
    """
    for _ in range(MOST_SWITCHES):
        current: PinnedTables = pointers if pointers is not None else await read_pointers(connection)
        statement = LookupStatement(contract, current, pinned=pointers is not None)
        try:
            records = await connection.fetch(statement.sql, *statement.arguments(requests))
        except Exception as error:
            if pointers is None and getattr(error, "sqlstate", "") == UNDEFINED_TABLE:
                continue
            raise
        if not records or records[0][0]:
            return statement.decode(records), statement.snapshots
    raise LookupFailed(
        f"lookups of model {contract.model!r}",
        expected="pointers that stand still",
        found=f"{MOST_SWITCHES} switches in a row",
        todo="Publish less often.",
    )


def look_up_now(
    url: str, contract: Contract, requests: Sequence[msgspec.Struct], pointers: PinnedTables | None = None
) -> tuple[Looked, dict[str, str]]:
    """`look_up` for synchronous callers: connects to the book's URL, looks up, and hangs up."""
    import asyncpg

    async def run() -> tuple[Looked, dict[str, str]]:
        connection = await asyncpg.connect(url, server_settings=SESSION)
        try:
            return await look_up(connection, contract, requests, pointers)
        finally:
            await connection.close()

    return asyncio.run(run())


def _getter(places: list[int]) -> Any:
    if len(places) == 1:
        return lambda record, place=places[0]: (record[place],)
    return itemgetter(*places)
