"""What it would take to serve a warehouse table, measured in a book on a sample of its rows."""

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
from penstock.warehouse.interface import Warehouse, quoted

SAMPLE_ROWS = 50_000
_MOST_KEY_COLUMNS = 8
_LARGE_BYTES = 20e9
"""Above this size a table costs more to publish than the join in the warehouse costs."""


@dataclass(frozen=True)
class KeyCandidate:
    """Columns that are unique in the whole table, the size of their index, and what a lookup by them costs."""

    columns: tuple[str, ...]
    index_bytes: int
    lookup_p99_ms: float


@dataclass(frozen=True)
class Advice:
    """Rows and bytes that a book would hold, the possible keys, and the verdict with its reason."""

    table: str
    rows: int
    sampled: int
    bytes: int
    candidates: tuple[KeyCandidate, ...]
    verdict: str
    reason: str


def advise(warehouse: Warehouse, book: Book, table: str, query: str, keys: Sequence[tuple[str, ...]] = ()) -> Advice:
    """Sample the rows of a query, load them into a temporary table of the book, and measure there.

    `keys` are tried before those that the sample suggests. The book keeps nothing of it.
    """
    rows = _number(warehouse, f"SELECT count(*) AS n FROM ({query}) q")
    sample = _sample(warehouse, table, query)
    with book.connect() as connection:
        loaded = _load(connection, sample)
        scale = rows / max(sample.num_rows, 1)
        candidates = []
        for columns in [*keys, *(key for key in _unique_in(sample) if key not in keys)]:
            listed = ", ".join(map(quoted, columns))
            if _number(warehouse, f"SELECT count(*) AS n FROM (SELECT DISTINCT {listed} FROM ({query}) q) d") == rows:
                candidates.append(_measured(connection, sample, columns, scale))
        connection.rollback()
    best = min(candidates, key=lambda one: (len(one.columns), one.index_bytes), default=None)
    size = math.ceil(loaded * scale) + (best.index_bytes if best else 0)
    verdict, reason = _verdict(best, size)
    return Advice(table, rows, sample.num_rows, size, tuple(candidates), verdict, reason)


def whole_table(name: str) -> str:
    """The query of all rows of a warehouse table, such as `schema.table`."""
    return f"SELECT * FROM {'.'.join(map(quoted, name.split('.')))}"


def _verdict(best: KeyCandidate | None, size: int) -> tuple[str, str]:
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
    batch = whole.to_batches()[0] if whole.num_rows else pa.RecordBatch.from_pylist([], whole.schema)
    return conform(batch, schema, table, ())


def _unique_in(sample: pa.RecordBatch) -> list[tuple[str, ...]]:
    """The single columns that are unique in the sample, else the pairs. No floats, which have no exact equality."""
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
    """Load the sample into the temporary table `advised`, and return its bytes."""
    connection.execute(create_statement(sql.Identifier("advised"), postgres_columns(sample.schema), temporary=True))
    with connection.cursor().copy("COPY advised FROM STDIN (FORMAT binary)") as copy:
        for chunk in CopyEncoder(sample.schema).chunks([sample]):
            copy.write(chunk)
    connection.execute("ANALYZE advised")
    return _bytes(connection, "advised")


def _measured(
    connection: psycopg.Connection, sample: pa.RecordBatch, columns: tuple[str, ...], scale: float
) -> KeyCandidate:
    listed = sql.SQL(", ").join(map(sql.Identifier, columns))
    connection.execute(sql.SQL("DROP INDEX IF EXISTS candidate; CREATE INDEX candidate ON advised ({})").format(listed))
    everything = tuple(Column(name, "text") for name in sample.schema.names)
    lookup = Lookup("advised", "advised", {name: name for name in columns}, everything)
    relation = sql.Identifier("advised")
    tried = sampled_keys(connection, relation, lookup, sample.num_rows)
    with prepared_lookup(connection, relation, lookup) as prepared:
        p99 = p99_ms(connection, prepared, tried, lookup.budget_ms) if tried else 0.0
    return KeyCandidate(columns, math.ceil(_bytes(connection, "candidate") * scale), round(p99, 3))


def _bytes(connection: psycopg.Connection, relation: str) -> int:
    row = connection.execute("SELECT pg_relation_size(%s::regclass)", (relation,)).fetchone()
    return int(row[0]) if row else 0


def _number(warehouse: Warehouse, query: str) -> int:
    with warehouse.batches(query) as batches:
        value = batches.read_all().column(0)[0].as_py()
    if not isinstance(value, int):
        raise PenstockError("warehouse", expected="a number of rows", found=repr(value))
    return value
