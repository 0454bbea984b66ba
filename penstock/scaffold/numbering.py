"""Columns that say which row is which: numbers of the row, identifiers, and what rises with the asking time."""

import re
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.scaffold.model_plan import MOST_CATEGORIES, useless
from penstock.scaffold.profile import Column, Table, ask
from penstock.warehouse.interface import Warehouse, quoted
from penstock.warehouse.query_text import subquery

FEW, MOST_GAPS = 20, 2
"""Fewer rows have different amounts by chance; numbers that span more than so many times the rows have large gaps."""
BY_CHANCE = 10
"""Equal pairs that even amounts of a spread have by chance, where whole numbers without one are identifiers."""
SAMPLE = 20_000
STEADY = 0.999
"""Rank correlation with the asking time from which on a number only repeats it."""
NAMED = re.compile(r"(?:^|_)(?:id|pk|uid|oid|key)$", re.IGNORECASE)
NAMED_IN_CAPITALS = re.compile(r"[a-z](?:Id|ID|Key)$")
Numbers = np.ndarray[Any, np.dtype[np.float64]]


def note_numberings(warehouse: Warehouse, table: Table) -> None:
    """Note which columns of a table have another whole number in each row, where amounts would have had equal ones."""
    likely = [column for column in table.columns.values() if _may_number(column)]
    if not likely:
        return
    counts = ", ".join(f"count(DISTINCT floor({quoted(one.name)})) AS n{number}" for number, one in enumerate(likely))
    row = ask(warehouse, f"SELECT {counts} FROM (\n{subquery(table.query)}) AS source")[0]
    for number, column in enumerate(likely):
        if row[f"n{number}"] == column.rows - column.nulls:
            near = column.greatest - column.least <= MOST_GAPS * column.rows
            what = "it numbers the rows, each has another" if near else "each row has another, as identifiers are,"
            column.identifies = f"{what} of {column.least:,} to {column.greatest:,}"


def note_identifiers(
    warehouse: Warehouse, table: Table, asked: Column, key: Sequence[Column], others: Sequence[Column]
) -> list[str]:
    """Note which numbers rise with the asking time, or are called like identifiers.

    Returns what is to be said of those that may be none. `others`: columns that are used whatever they look like.
    """
    taken = {column.name for column in (asked, *key, *others)}
    free = [column for column in table.columns.values() if column.name not in taken and not useless(column)]
    return _note_risings(warehouse, table, asked, key, free) + note_names(free)


def _note_risings(
    warehouse: Warehouse, table: Table, asked: Column, key: Sequence[Column], free: Sequence[Column]
) -> list[str]:
    likely = [one for one in free if _is_number(one)]
    likely = [one for one in likely if one.values is None or len(one.values) >= FEW]
    if not likely:
        return []
    names = ", ".join(quoted(one.name) for one in (asked, *key, *likely))
    known = f"SELECT {names} FROM (\n{subquery(table.query)}) AS source WHERE {quoted(asked.name)} IS NOT NULL"
    with warehouse.batches(f"{known} LIMIT {SAMPLE}") as batches:
        rows = batches.read_all()
    times, entities = _times(rows[asked.name]), _places([rows[column.name] for column in key])
    said = []
    for column in likely:
        values = _numbers(rows[column.name])
        there = np.isfinite(values)
        if np.count_nonzero(there) < FEW:
            continue
        if _correlation(times[there], values[there]) >= STEADY:
            column.identifies = (
                f"it rises with {asked.name}, from {column.least:,} to {column.greatest:,}, as numbers of rows and"
                " running totals do: whatever is asked later is beyond all that was trained on"
            )
        elif _rises_in_each(entities[there], times[there], values[there]):
            said.append(
                f"{column.name} rises from row to row of the same {' and '.join(one.name for one in key)}, as a counter"
                " does: it is a feature, and each caller has to know it"
            )
    return said


def is_named_so(column: Column) -> bool:
    """Whether it is called like an identifier, such as `store_id`."""
    return bool(NAMED.search(column.name) or NAMED_IN_CAPITALS.search(column.name))


def note_names(columns: Collection[Column]) -> list[str]:
    """Note whole numbers that are called like identifiers and have many values; what is to be said of the others."""
    said = []
    for column in columns:
        if column.storage is None or column.storage.python != "int" or not is_named_so(column) or column.identifies:
            continue
        if column.values is None or len(column.values) > MOST_CATEGORIES:
            many = "more than 1,000" if column.values is None else f"{len(column.values):,}"
            column.identifies = f"called like an identifier, of {many} different numbers"
        elif len(column.values) > 1:
            said.append(
                f"{column.name} is called like an identifier, and is a number to the model; a query (--from QUERY.sql)"
                f" makes a category of it: CAST({quoted(column.name)} AS VARCHAR) AS {quoted(column.name)}"
            )
    return said


def _is_number(column: Column) -> bool:
    return column.storage is not None and column.storage.python in ("int", "float") and not column.empty


def _may_number(column: Column) -> bool:
    rows = column.rows - column.nulls
    if not _is_number(column) or rows < FEW or column.unfinite:
        return False
    if column.values is not None and len(column.values) < rows:
        return False
    whole = column.storage is not None and column.storage.python == "int"
    most = max(MOST_GAPS * rows, rows**2 / (2 * BY_CHANCE) if whole else 0)
    return bool(rows - 1 <= column.greatest - column.least <= most)


def _numbers(column: "pa.ChunkedArray[Any]") -> Numbers:
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def _times(column: "pa.ChunkedArray[Any]") -> Numbers:
    whole = pa.int32() if pa.types.is_date32(column.type) else pa.int64()
    return _numbers(column.cast(whole))


def _places(columns: Sequence["pa.ChunkedArray[Any]"]) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """A number for each different key, row by row."""
    codes = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        encoded = pc.dictionary_encode(plain.combine_chunks(), null_encoding="encode")
        own = np.asarray(encoded.indices.to_numpy(zero_copy_only=False), np.int64)
        codes = np.unique(codes * (own.max(initial=0) + 1) + own, return_inverse=True)[1]
    return codes


def _correlation(times: Numbers, values: Numbers) -> float:
    """Spearman's rank correlation; 0 where most values are equal to others."""
    if len(np.unique(values)) < len(values) / 2:
        return 0.0
    order = np.lexsort((values, times))
    ranks = np.searchsorted(np.sort(values), values[order]).astype(np.float64)
    return float(np.corrcoef(np.arange(len(ranks), dtype=np.float64), ranks)[0, 1])


def _rises_in_each(entities: "np.ndarray[Any, np.dtype[np.int64]]", times: Numbers, values: Numbers) -> bool:
    order = np.lexsort((values, times, entities))
    pairs = np.diff(entities[order]) == 0
    steps = np.diff(values[order])[pairs]
    return bool(len(steps) >= FEW and (steps > 0).all())
