"""What the rows of a warehouse query look like: per column type, nulls, range and different values."""

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from penstock.contract.request_types import FIRST_YEAR, LAST_YEAR
from penstock.scaffold.spelling import unquoted
from penstock.scaffold.text_forms import MISSING, TEXTS_THAT_SAY
from penstock.warehouse.interface import ColumnTypesError, ColumnValuesError, Warehouse, quoted
from penstock.warehouse.query_text import subquery

MOST_VALUES = 1_000
"""Different values of a column that are counted one by one."""
MOST_WHOLE_DIGITS = 18
"""Most digits of a decimal that an int64 always holds exactly."""
Progress = Callable[[int, int], None]
"""Called with the rows that are read, and all rows."""


@dataclass(frozen=True)
class Storage:
    """How a column is held: Python type of a request, shape constant, kind of the contract, and the cast in SQL.

    `zone`: the time zone in which the times of a column without one are read.
    """

    python: str
    shape: str
    kind: str
    cast: str = ""
    zone: str = ""


FLAG, TEXT, REAL = Storage("bool", "FLAG", "number"), Storage("str", "TEXT", "text"), Storage("float", "REAL", "number")
DATE = Storage("date", "DATE", "time")
WALL_CLOCK, INSTANT = Storage("datetime", "WALL_CLOCK", "time"), Storage("datetime", "INSTANT", "time")
AS_REAL, AS_TEXT = Storage("float", "REAL", "number", "DOUBLE PRECISION"), Storage("str", "TEXT", "text", "VARCHAR")
_SMALL, _MIDDLE, _LARGE = (Storage("int", shape, "number") for shape in ("WHOLE_16", "WHOLE", "WHOLE_64"))
_WHOLE = {
    **dict.fromkeys((pa.int8(), pa.uint8(), pa.int16()), _SMALL),
    **dict.fromkeys((pa.uint16(), pa.int32()), _MIDDLE),
    **dict.fromkeys((pa.uint32(), pa.int64(), pa.uint64()), _LARGE),
}


def storage_of(kind: pa.DataType) -> Storage | None:
    """How values of an Arrow type are held; None where no contract can hold them."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if kind in _WHOLE:
        return _WHOLE[kind]
    if pa.types.is_decimal(kind) and kind.scale == 0 and kind.precision <= MOST_WHOLE_DIGITS:
        return Storage("int", "WHOLE_64", "number", "BIGINT")
    if pa.types.is_timestamp(kind):
        return INSTANT if kind.tz else WALL_CLOCK
    known: tuple[tuple[Callable[[pa.DataType], bool], Storage], ...] = (
        (pa.types.is_boolean, FLAG),
        (pa.types.is_float32, Storage("float", "REAL_32", "number")),
        (pa.types.is_float64, REAL),
        (pa.types.is_decimal, AS_REAL),
        (pa.types.is_string, TEXT),
        (pa.types.is_large_string, TEXT),
        (pa.types.is_string_view, TEXT),
        (pa.types.is_date, DATE),
    )
    return next((storage for belongs, storage in known if belongs(kind)), None)


@dataclass
class Column:
    """What was seen of one column.

    - `values` counts the different ones, None where there are more than MOST_VALUES.
    - `outside` counts times beyond the years that a request holds, such as infinity; they are no values of it.
    - `say` counts the texts that say a number or a time, and `markers` those that stand for a missing value.
    - `identifies` says why it names rows rather than measures them; empty where it does not.
    """

    name: str
    type: str
    storage: Storage | None
    rows: int = 0
    nulls: int = 0
    unfinite: int = 0
    outside: int = 0
    least: Any = None
    greatest: Any = None
    longest: int = 0
    say: dict[str, int] = field(default_factory=dict)
    markers: dict[str, int] = field(default_factory=dict)
    values: dict[Any, int] | None = field(default_factory=dict)
    identifies: str = ""

    @property
    def missing(self) -> bool:
        """Whether a row may be without a value: a null, or a number that is none."""
        return self.lacking > 0

    @property
    def lacking(self) -> int:
        """How many rows are without a value."""
        return self.nulls + self.unfinite

    @property
    def longest_text(self) -> int:
        """Characters of its longest value, were it a text."""
        return max(self.longest, *(len(str(value)) for value in (self.least, self.greatest) if not self.longest), 0)

    @property
    def empty(self) -> bool:
        """Whether no row has a value."""
        return self.lacking == self.rows

    @property
    def is_whole_decimal(self) -> bool:
        """Whether its type is one of decimals without a fraction."""
        return self.type.startswith("decimal") and self.type.endswith(", 0)")

    @property
    def example(self) -> Any:
        """The most frequent value, or the least."""
        return max(self.values, key=self.values.__getitem__) if self.values else self.least

    def mostly(self, what: str) -> bool:
        """Whether most of its texts say numbers, or times, those that stand for a missing value left aside."""
        return self.say.get(what, 0) > (self.rows - self.nulls - sum(self.markers.values())) / 2

    def add(self, array: "pa.Array[Any]") -> None:
        """Take in the next rows."""
        self.rows += len(array)
        self.nulls += array.null_count
        if self.storage is None:
            return
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if pa.types.is_floating(array.type):
            finite = array.filter(pc.is_finite(array))
            self.unfinite += len(array) - array.null_count - len(finite)
            array = finite
        within = _of_the_calendar(array)
        self.outside += len(array.drop_null()) - len(within.drop_null())
        array = within
        found = pc.min_max(array).as_py()
        if found["min"] is not None:
            self.least = found["min"] if self.least is None else min(self.least, found["min"])
            self.greatest = found["max"] if self.greatest is None else max(self.greatest, found["max"])
        if self.storage.python == "str":
            self.longest = max(self.longest, pc.max(pc.utf8_length(array)).as_py() or 0)
            for what, written in TEXTS_THAT_SAY.items():
                count = pc.sum(pc.match_substring_regex(array, written)).as_py() or 0
                self.say[what] = self.say.get(what, 0) + count
            for pair in pc.value_counts(array.filter(pc.is_in(array, pa.array(MISSING, array.type)))):
                marker = pair["values"].as_py()
                self.markers[marker] = self.markers.get(marker, 0) + pair["counts"].as_py()
        if self.values is not None:
            for pair in pc.value_counts(array.drop_null()):
                value = pair["values"].as_py()
                self.values[value] = self.values.get(value, 0) + pair["counts"].as_py()
                if len(self.values) > MOST_VALUES:
                    self.values = None
                    break

    def bounds(self) -> tuple[float, float]:
        """A generous range of its numbers: powers of ten around them, from 0 where none is negative."""
        low, high = float(self.least), float(self.greatest)
        return (0.0 if low >= 0 else -_power(-low)), (_power(high) if high > 0 else 1.0)


@dataclass(frozen=True)
class Table:
    """The columns of a query by name. `unreadable`: the name of a column that nothing can hold -> the reason."""

    query: str
    rows: int
    columns: Mapping[str, Column]
    unreadable: Mapping[str, str]


def read(warehouse: Warehouse, query: str, progress: Progress) -> Table:
    """Read every row of a query; WarehouseError where the warehouse refuses it.

    A column with a value that cannot be read is left out, and the others are read anew.
    """
    query, unreadable = _readable(warehouse, query)
    total = int(ask(warehouse, f"SELECT count(*) AS n FROM (\n{subquery(query)}) AS source")[0]["n"])
    columns: dict[str, Column] = {}
    while True:
        try:
            _read(warehouse, query, columns, lambda done: progress(done, total))
        except ColumnValuesError as error:
            if columns.pop(error.column, None) is None or not columns:
                raise
            todo = error.todo[:1].lower() + error.todo[1:].rstrip(".")
            unreadable[error.column] = f"with {error.found}, where a request holds {error.expected}; {todo}"
            query = _only(query, columns)
        else:
            return Table(query, max(column.rows for column in columns.values()), columns, unreadable)


def _read(warehouse: Warehouse, query: str, columns: dict[str, Column], progress: Callable[[int], None]) -> None:
    """Fill in the columns of a query, anew."""
    done = 0
    with warehouse.batches(query) as batches:
        for name, kind in zip(batches.schema.names, batches.schema.types, strict=True):
            columns[name] = Column(name, str(kind), storage_of(kind))
        for batch in batches:
            for name, array in zip(batch.schema.names, batch.columns, strict=True):
                columns[name].add(array)
            done += batch.num_rows
            progress(done)


def named(table: Table, name: str, option: str) -> Column:
    """The column of that name, in whatever case and perhaps in double quotes; ValueError with the nearest names."""
    for wanted in (name, unquoted(name)):
        alike = [column for column in table.columns.values() if column.name.lower() == wanted.lower()]
        if wanted in table.columns or alike:
            return table.columns.get(wanted) or alike[0]
    if name in table.unreadable:
        raise ValueError(f"{option} {name}: expected values that a request holds, found some {table.unreadable[name]}")
    near = difflib.get_close_matches(name, table.columns, 3)
    known = ", ".join(list(table.columns)[:30])
    raise ValueError(
        f"{option} {name}: no such column; " + (f"did you mean {' or '.join(near)}?" if near else f"there are {known}")
    )


def ask(warehouse: Warehouse, query: str) -> list[dict[str, Any]]:
    """The few rows of a query."""
    with warehouse.batches(query) as batches:
        return [row for batch in batches for row in batch.to_pylist()]


def repeated(warehouse: Warehouse, query: str, key: list[str]) -> dict[str, Any] | None:
    """The key that most rows of a query share, with their number as `penstock_n`; None where each is unique.

    Rows without a value in it do not count.
    """
    names = ", ".join(map(quoted, key))
    known = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in key)
    found = ask(
        warehouse,
        f"SELECT {names}, count(*) AS penstock_n FROM (\n{subquery(query)}) AS source WHERE {known} GROUP BY {names}"
        " HAVING count(*) > 1 ORDER BY count(*) DESC LIMIT 1",
    )
    return found[0] if found else None


def _readable(warehouse: Warehouse, query: str) -> tuple[str, dict[str, str]]:
    """The query with the columns alone that can be read, and the types of the others."""
    try:
        with warehouse.batches(f"SELECT * FROM (\n{subquery(query)}) AS source WHERE 1 = 0"):
            return query, {}
    except ColumnTypesError as error:
        if not error.others:
            raise
        kinds = {name: f"of a type that no request holds ({kind})" for name, kind in error.kinds.items()}
        return _only(query, error.others), kinds


def _only(query: str, names: Iterable[str]) -> str:
    return f"SELECT {', '.join(map(quoted, names))} FROM (\n{subquery(query)}) AS source"


def _of_the_calendar(array: "pa.Array[Any]") -> "pa.Array[Any]":
    """The dates and times of the years that a request may have, and any other values as they are."""
    kind = array.type
    first: date
    last: date
    if pa.types.is_timestamp(kind) and kind.unit != "ns":  # all nanoseconds are of the years 1677 to 2262
        zone = UTC if kind.tz else None
        first, last = datetime(FIRST_YEAR, 1, 1, tzinfo=zone), datetime(LAST_YEAR + 1, 1, 1, tzinfo=zone)
    elif pa.types.is_date(kind):
        first, last = date(FIRST_YEAR, 1, 1), date(LAST_YEAR + 1, 1, 1)
    else:
        return array
    known = pc.and_(pc.greater_equal(array, pa.scalar(first, kind)), pc.less(array, pa.scalar(last, kind)))
    return array.filter(known, null_selection_behavior="drop")


def _power(value: float) -> float:
    return 10.0 ** max(0, math.ceil(math.log10(2 * value)))
