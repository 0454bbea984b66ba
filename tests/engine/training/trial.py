"""A model with one lookup, from a DuckDB warehouse to the five ways in which its lookup is answered."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import msgspec
import numpy as np
import pandera.pandas as pa

from penstock.contract.columns import request_columns
from penstock.contract.contract import Column, Contract, Feature, Lookup, Output
from penstock.contract.request_types import Kind
from penstock.declare.model import GateRule, Model
from penstock.declare.table import ReplicatedTable
from penstock.extract.extract import extract, extract_training_rows
from penstock.lookups.in_snapshots import look_up_stored
from penstock.lookups.in_warehouse import WarehouseLookups
from penstock.lookups.look_up import look_up_now
from penstock.lookups.sql import SESSION, bound_types
from penstock.lookups.statement import LookupResult, LookupStatement
from penstock.postgres.book import Book
from penstock.postgres.pointer import read_pointers
from penstock.publish.publish import publish
from penstock.serving.tables.in_memory import RequestFields, UncacheableTable
from penstock.serving.tables.loading import load
from penstock.settings import Settings
from penstock.snapshots.store import SnapshotStore
from penstock.training.skew import skew
from penstock.warehouse.opening import open_warehouse

SINCE, UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
Local = Annotated[datetime, msgspec.Meta(tz=False)]
Zoned = Annotated[datetime, msgspec.Meta(tz=True)]


class Trial:
    """A model with one lookup whose key and column are of chosen types, and a warehouse of its own."""

    def __init__(self, folder: Path, book: Book, who: Any, kind: Kind, **more: Any) -> None:
        asked_at = more.pop("asked_at", Zoned)
        self.zoned = asked_at is Zoned
        request = msgspec.defstruct(
            "Ask",
            [("who", who), ("asked_at", asked_at)],
            forbid_unknown_fields=True,
            frozen=True,
        )
        lookup = Lookup("fact", "facts", {"who": "who"}, (Column("fact", kind),), **more)

        def features(columns: Any) -> Any:
            values = columns["fact.fact"]
            if kind == "time":
                values = np.where(np.isnat(values), np.nan, values.astype(np.int64).astype(np.float64))
            return {"fact": values}

        feature = Feature("fact", "text" if kind == "text" else "number")
        output = Output("y", "regressor")
        contract = Contract("trial", "A trial.", request, ("who",), (lookup,), (feature,), features, output)
        query = "SELECT who, asked_at, y FROM asked WHERE asked_at >= :from AND asked_at < :until"
        shape = pa.DataFrameSchema({})
        self.model = Model(
            contract, query=query, outcome="y", shape=shape, estimator=object, gate=GateRule("rmse", 1.0)
        )
        key = ("who", *([lookup.as_of[0]] if lookup.as_of else []))
        self.table = ReplicatedTable("facts", query="SELECT * FROM facts", key=key, shape=shape)
        self.settings, self.book, self.contract = Settings(home=folder), book, contract

    def fill(self, facts: str, asked: str) -> None:
        """Make the tables of the warehouse from two queries."""
        self.settings.warehouse_file.parent.mkdir(parents=True, exist_ok=True)
        script = f"CREATE TYPE mood AS ENUM ('ok', 'sad'); CREATE TABLE facts AS {facts}; CREATE TABLE asked AS {asked}"
        open_warehouse(self.settings).prepare(script)

    def run(self) -> tuple[list[Any], int]:
        """The values of the feature in training, after demanding that they are the same in serving, on every way; and
        how many rows were looked up in memory."""
        warehouse, store, now = open_warehouse(self.settings), SnapshotStore(self.settings.snapshots), datetime.now(UTC)
        snapshot = extract(self.table, warehouse, store, now)
        publish(snapshot, self.table, [self.book], who="test")
        rows = extract_training_rows(
            self.model, {"facts": self.table}, warehouse, store, now, name="rows", since=SINCE, until=UNTIL
        )
        compared = skew(self.book, self.model, rows, rows=1000)
        compared.demand_none("trial")
        table = rows.batches().read_all()
        listed = [{name: row[name] for name in ("who", "asked_at")} for row in table.to_pylist()]
        for row in listed:
            row["who"] = int(row["who"]) if isinstance(row["who"], Decimal) else row["who"]
            at = row["asked_at"]
            naive = isinstance(at, datetime) and at.tzinfo is None
            row["asked_at"] = at.replace(tzinfo=UTC) if naive and self.zoned else at
        posted = [msgspec.json.decode(msgspec.json.encode(row), type=self.contract.request) for row in listed]
        found, _ = look_up_now(self.book.url, self.contract, posted)
        memory = asyncio.run(self._in_memory(posted))
        pointers = asyncio.run(self._pointers())
        stored = look_up_stored(LookupStatement(self.contract, pointers, pinned=True), {"facts": snapshot}, posted)
        direct = WarehouseLookups(open_warehouse(self.settings), self.contract, {"facts": self.table.query})
        for other in [stored, direct.look_up(posted), *([memory] if memory else [])]:
            assert other.rows == found.rows
            assert other.missing == found.missing
            for name, values in found.columns.items():
                assert values.dtype == other.columns[name].dtype
                assert (
                    values.tolist() == other.columns[name].tolist() or values.tobytes() == other.columns[name].tobytes()
                )
        journaled = LookupStatement(self.contract, pointers, pinned=True).decode_rows(found.rows)
        columns = request_columns(self.contract, posted)
        served = self.contract.vectors(columns | found.columns)["fact"]
        again = self.contract.vectors(columns | journaled.columns)["fact"]
        assert served.tolist() == again.tolist() or served.tobytes() == again.tobytes()
        return served.tolist(), len(posted) if memory else 0

    async def _pointers(self) -> Any:
        connection = await asyncpg.connect(self.book.url)
        try:
            return await read_pointers(connection)
        finally:
            await connection.close()

    async def _in_memory(self, posted: list[Any]) -> LookupResult | None:
        connection = await asyncpg.connect(self.book.url, server_settings=SESSION)
        try:
            pointers = await read_pointers(connection)
            cached = await load(connection, self.contract.lookups[0], pointers["facts"], bound_types(self.contract))
        except UncacheableTable:
            return None
        finally:
            await connection.close()
        fields = RequestFields(posted, request_columns(self.contract, posted))
        return LookupStatement(self.contract, pointers).assemble(
            {self.contract.lookups[0].name: cached.find(fields)}, len(posted)
        )
