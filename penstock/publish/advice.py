"""What serving a warehouse table would take, measured on a real sample of it in a book."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import psycopg
import pyarrow as pa
from psycopg import sql

from penstock.contract.contract import Column, Lookup
from penstock.errors import PenstockError
from penstock.lookups.cost import p99_ms, prepared_lookup, sampled_keys
from penstock.postgres.book import Book
from penstock.replicated.physical_table import create_statement
from penstock.rows.conform import conform
from penstock.rows.copy_stream import CopyEncoder
from penstock.rows.types import postgres_columns, stored_schema
from penstock.warehouse.interface import Warehouse

SAMPLE_ROWS = 50_000
_MOST_KEY_COLUMNS = 8
_LARGE_BYTES = 20e9
"""Beyond this a replicated table costs more to carry than the join that it saves."""


@dataclass(frozen=True)
class Candidate:
    """A possible key: unique in the whole table, with the size of its index and the cost of a lookup by it."""

    columns: tuple[str, ...]
    index_bytes: int
    lookup_p99_ms: float


@dataclass(frozen=True)
class Advice:
    """Rows and bytes that a book would hold, keys that could serve, and what to do."""

    table: str
    rows: int
    sampled: int
    bytes: int
    candidates: tuple[Candidate, ...]
    verdict: str
    reason: str


def advise(warehouse: Warehouse, book: Book, table: str, query: str, keys: Sequence[tuple[str, ...]] = ()) -> Advice:
    """Sample the query's rows, load them into a temporary table of the book, and measure there.

    `keys` are tried before those that the sample suggests. Nothing is left in the book.
    """
    rows = _number(warehouse, f"SELECT count(*) AS n FROM ({query}) q")
    sample = _sample(warehouse, table, query)
    with book.connect() as connection:
        loaded = _load(connection, sample)
        scale = rows / max(sample.num_rows, 1)
        candidates = []
        for columns in [*keys, *(key for key in _unique_in(sample) if key not in keys)]:
            listed = ", ".join('"' + column.replace('"', '""') + '"' for column in columns)
            if _number(warehouse, f"SELECT count(*) AS n FROM (SELECT DISTINCT {listed} FROM ({query}) q) d") == rows:
                candidates.append(_measured(connection, sample, columns, scale))
        connection.rollback()
    best = min(candidates, key=lambda one: (len(one.columns), one.index_bytes), default=None)
    size = math.ceil(loaded * scale) + (best.index_bytes if best else 0)
    verdict, reason = _verdict(best, size)
    return Advice(table, rows, sample.num_rows, size, tuple(candidates), verdict, reason)


def _verdict(best: Candidate | None, size: int) -> tuple[str, str]:
    if best is None:
        return "prejoin", "no column or pair of columns is unique: aggregate it in the warehouse to one row per key"
    if size > _LARGE_BYTES:
        return "prejoin", f"{size / 1e9:.0f} GB would be loaded at every publish: keep only what the model needs"
    return "join on demand", f"one row is found by {', '.join(best.columns)} in {best.lookup_p99_ms:.2f} ms"


def _sample(warehouse: Warehouse, table: str, query: str) -> pa.RecordBatch:
    picked = f"SELECT * FROM ({query}) q "
    picked += (
        f"USING SAMPLE reservoir({SAMPLE_ROWS} ROWS) REPEATABLE (0)"
        if warehouse.dialect == "duckdb"
        else f"LIMIT {SAMPLE_ROWS}"
    )
    with warehouse.batches(picked) as batches:
        schema = stored_schema(batches.schema, table)
        whole = batches.read_all().combine_chunks()
    given = whole.to_batches()[0] if whole.num_rows else pa.RecordBatch.from_pylist([], whole.schema)
    return conform(given, schema, table, ())


def _unique_in(sample: pa.RecordBatch) -> list[tuple[str, ...]]:
    """Single columns that are unique in the sample, else pairs; never floats, which have no exact equality."""
    usable = [
        field.name
        for field, column in zip(sample.schema, sample.columns, strict=True)
        if not column.null_count and not pa.types.is_floating(field.type)
    ][:_MOST_KEY_COLUMNS]
    table = pa.Table.from_batches([sample])
    for width in (1, 2):
        found = [
            columns
            for columns in combinations(usable, width)
            if table.group_by(list(columns)).aggregate([]).num_rows == sample.num_rows
        ]
        if found:
            return found[:3]
    return []


def _load(connection: psycopg.Connection, sample: pa.RecordBatch) -> int:
    """The sample in the temporary table `advised`; gives its bytes."""
    connection.execute(create_statement(sql.Identifier("advised"), postgres_columns(sample.schema), temporary=True))
    with connection.cursor().copy("COPY advised FROM STDIN (FORMAT binary)") as copy:
        for chunk in CopyEncoder(sample.schema).chunks([sample]):
            copy.write(chunk)
    connection.execute("ANALYZE advised")
    return _bytes(connection, "advised")


def _measured(
    connection: psycopg.Connection, sample: pa.RecordBatch, columns: tuple[str, ...], scale: float
) -> Candidate:
    listed = sql.SQL(", ").join(map(sql.Identifier, columns))
    connection.execute(sql.SQL("DROP INDEX IF EXISTS candidate; CREATE INDEX candidate ON advised ({})").format(listed))
    everything = tuple(Column(name, "text") for name in sample.schema.names)
    lookup = Lookup("advised", "advised", {name: name for name in columns}, everything)
    relation = sql.Identifier("advised")
    tried = sampled_keys(connection, relation, lookup, sample.num_rows)
    with prepared_lookup(connection, relation, lookup) as prepared:
        p99 = p99_ms(connection, prepared, tried, lookup.budget_ms) if tried else 0.0
    return Candidate(columns, math.ceil(_bytes(connection, "candidate") * scale), round(p99, 3))


def _bytes(connection: psycopg.Connection, relation: str) -> int:
    row = connection.execute("SELECT pg_relation_size(%s::regclass)", (relation,)).fetchone()
    return int(row[0]) if row else 0


def _number(warehouse: Warehouse, query: str) -> int:
    with warehouse.batches(query) as batches:
        value = batches.read_all().column(0)[0].as_py()
    if not isinstance(value, int):
        raise PenstockError("warehouse", expected="a number of rows", found=repr(value))
    return value
