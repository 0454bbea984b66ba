"""What tests of snapshots and publishing share: small tables, their declarations, random typed tables."""

import datetime as dt
import decimal
from typing import Any

import pandera.pandas as pandera
import pyarrow as pa
from hypothesis import strategies as st

from penstock.declare.table import ReplicatedTable
from penstock.postgres.book import Book
from penstock.snapshots.store import Recipe, Snapshot, SnapshotStore
from penstock.testing import NOON


def numbered(rows: int, *, offset: int = 0) -> pa.Table:
    """`rows` rows of key, group, value and text; the value is the same in all rows, for readers to notice mixtures."""
    return pa.table(
        {
            "key": pa.array(range(rows), pa.int64()),
            "part": pa.array((i % 7 for i in range(rows)), pa.int32()),
            "value": pa.array([offset] * rows, pa.int64()),
            "text": pa.array([None if i % 5 == 0 else f"é {i}" for i in range(rows)], pa.string()),
        }
    )


def write(
    store: SnapshotStore, table: pa.Table, name: str = "numbers", key: tuple[str, ...] = ("key",), **more: Any
) -> Snapshot:
    """The snapshot of an Arrow table."""
    return store.write(name, table.to_reader(), Recipe("SELECT 1", key), **{"as_of": NOON, **more})


def changed(store: SnapshotStore, base: Snapshot, rows: pa.Table) -> Snapshot:
    """`base` with these rows, all of which differ from its own."""
    known = set(zip(*(base.batches().read_all()[name].to_pylist() for name in base.key), strict=True))
    replaced = len(known & set(zip(*(rows[name].to_pylist() for name in base.key), strict=True)))
    return store.write_changes(
        base, rows.to_batches(), lambda found: base.rows + found - replaced, base.manifest.recipe, as_of=NOON
    )


def declared(name: str = "numbers", key: tuple[str, ...] = ("key",), **more: Any) -> ReplicatedTable:
    """The declaration of a table without bounds."""
    return ReplicatedTable(
        name, "SELECT 1", key, pandera.DataFrameSchema(), **{"minimum_rows": 0, "largest_drop": 1.0, **more}
    )


def rows_of(book: Book, name: str) -> list[tuple[Any, ...]]:
    """What a reader of the view sees, as text."""
    with book.connect() as connection:
        view = '"' + name.replace('"', '""') + '"'
        return connection.execute(f"SELECT t::text FROM replicated.{view} t").fetchall()


def relations(book: Book) -> set[str]:
    """Every physical table that exists in the book."""
    with book.connect() as connection:
        found = connection.execute(
            """SELECT relname FROM pg_class WHERE relnamespace = 'replicated'::regnamespace AND relkind = 'r'
               AND relname NOT IN ('current', 'publication', 'physical_table')"""
        ).fetchall()
    return {name for (name,) in found}


_text = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=12)
_instants = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31))
_DECIMAL = decimal.Context(prec=38)


def _integers(bits: int, *, signed: bool = True) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)) if signed else 0, 2 ** (bits - signed) - 1)


@st.composite
def _decimals(draw: st.DrawFn) -> tuple[pa.DataType, st.SearchStrategy[decimal.Decimal]]:
    precision = draw(st.integers(1, 38))
    scale = draw(st.integers(0, precision))
    digits = st.integers(-(10**precision) + 1, 10**precision - 1)
    return pa.decimal128(precision, scale), digits.map(lambda d: decimal.Decimal(d).scaleb(-scale, _DECIMAL))


COLUMNS: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.bool_(), st.booleans()),
    (pa.int8(), _integers(8)),
    (pa.uint8(), _integers(8, signed=False)),
    (pa.int16(), _integers(16)),
    (pa.uint16(), _integers(16, signed=False)),
    (pa.int32(), _integers(32)),
    (pa.uint32(), _integers(32, signed=False)),
    (pa.int64(), _integers(64)),
    (pa.uint64(), st.integers(0, 2**63 - 1)),
    (pa.float32(), st.floats(width=32)),
    (pa.float64(), st.floats()),
    (pa.string(), _text),
    (pa.large_string(), _text),
    (pa.string_view(), _text),
    (pa.dictionary(pa.int8(), pa.string()), _text),
    (pa.binary(), st.binary(max_size=12)),
    (pa.large_binary(), st.binary(max_size=12)),
    (pa.binary(4), st.binary(min_size=4, max_size=4)),
    (pa.date32(), st.dates()),
    (pa.time32("ms"), st.times().map(lambda t: t.replace(microsecond=t.microsecond // 1000 * 1000))),
    (pa.time64("us"), st.times()),
    (pa.timestamp("s"), _instants.map(lambda t: t.replace(microsecond=0))),
    (pa.timestamp("us"), _instants),
    (
        pa.timestamp("us", "America/New_York"),
        st.datetimes(dt.datetime(1, 1, 3), dt.datetime(9999, 12, 29), timezones=st.just(dt.UTC)),
    ),
    (pa.timestamp("ns"), st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))),
    (pa.null(), st.none()),
]
_names = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=12).filter(
    lambda name: name not in {"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"}
)


@st.composite
def typed_tables(draw: st.DrawFn) -> pa.Table:
    """A table with a unique, ascending key column first, and up to six columns of random types with nulls."""
    rows = draw(st.integers(0, 12))
    kinds = draw(st.lists(st.one_of(st.sampled_from(COLUMNS), _decimals()), max_size=6))
    names = draw(st.lists(_names, min_size=len(kinds) + 1, max_size=len(kinds) + 1, unique=True))
    keys = sorted(draw(st.lists(_integers(64), min_size=rows, max_size=rows, unique=True)))
    columns = [pa.array(keys, pa.int64())]
    for kind, values in kinds:
        drawn = draw(st.lists(st.none() | values, min_size=rows, max_size=rows))
        storage = kind.value_type if pa.types.is_dictionary(kind) else kind
        column = pa.array(drawn, storage)
        columns.append(column.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else column)
    return pa.table(columns, names=names)
