"""What the types of a ClickHouse query become, by the server's own word before the first row.

- A DateTime without a zone is the wall clock of UTC; with one, whichever it is, it is the instant.
- A String holds bytes. It is read as text, and refused where it is none.
"""

import re

import pyarrow as pa

from penstock.warehouse.column import MOST_DIGITS, Column

_WRAPPED = re.compile(
    r"(?:Nullable|LowCardinality)\((.*)\)|SimpleAggregateFunction\(\w+(?:\([^)]*\))?, (.*)\)", re.DOTALL
)
_PLAIN: dict[str, tuple[pa.DataType, str]] = {
    "Bool": (pa.bool_(), ""),
    "Int8": (pa.int8(), ""),
    "Int16": (pa.int16(), ""),
    "Int32": (pa.int32(), ""),
    "Int64": (pa.int64(), ""),
    "UInt8": (pa.uint8(), ""),
    "UInt16": (pa.uint16(), ""),
    "UInt32": (pa.uint32(), ""),
    "UInt64": (pa.uint64(), ""),
    "Int128": (pa.decimal128(MOST_DIGITS, 0), "toDecimal128(toString({}), 0)"),
    "UInt128": (pa.decimal128(MOST_DIGITS, 0), "toDecimal128(toString({}), 0)"),
    "BFloat16": (pa.float32(), "CAST({} AS Float32)"),
    "Float32": (pa.float32(), ""),
    "Float64": (pa.float64(), ""),
    "String": (pa.string(), ""),
    "UUID": (pa.string(), "toString({})"),
    "Date": (pa.date32(), "CAST({} AS Date32)"),
    "Date32": (pa.date32(), ""),
    "Time": (pa.time64("us"), "CAST({} AS Time64(6))"),
}
_ENUM = re.compile(r"Enum(8|16)?\(")
_FIXED = re.compile(r"FixedString\(\d+\)")
_DECIMAL = re.compile(r"Decimal\((\d+), (\d+)\)")
_TIME = re.compile(r"Time64\((\d)\)")
_INSTANT = re.compile(r"DateTime(?:64)?(?:\((?:(?P<digits>\d)(?:, )?)?(?P<zone>'[^']*')?\))?")
_UNPADDED = r"trim(TRAILING '\0' FROM CAST({} AS String))"


def column(name: str, described: str) -> Column | None:
    """The column of a type as DESCRIBE has it; None where nothing can hold it."""
    kind = described
    while wrapped := _WRAPPED.fullmatch(kind):
        kind = wrapped[1] or wrapped[2]
    found: Column | None = None
    if kind in _PLAIN:
        found = Column(name, *_PLAIN[kind])
    elif _ENUM.match(kind):
        found = Column(name, pa.string(), "CAST({} AS String)")
    elif _FIXED.fullmatch(kind):
        found = Column(name, pa.string(), _UNPADDED)
    elif decimal := _DECIMAL.fullmatch(kind):
        found = _decimal(name, *map(int, decimal.groups()))
    elif time := _TIME.fullmatch(kind):
        found = _seconds(name, "Time64", int(time[1]), pa.time64("us"), pa.time64("ns"), "")
    elif kind in ("DateTime64(6)", "DateTime64(6, 'UTC')"):
        found = Column(name, pa.timestamp("us", "UTC" if "UTC" in kind else None))
    elif instant := _INSTANT.fullmatch(kind):
        zone, digits = "UTC" if instant["zone"] else None, int(instant["digits"] or 0)
        micro, nano = pa.timestamp("us", zone), pa.timestamp("ns", zone)
        found = _seconds(name, "DateTime64", digits, micro, nano, ", 'UTC'" if zone else "")
    return found


def _decimal(name: str, precision: int, scale: int) -> Column:
    if precision > MOST_DIGITS:
        return Column(name, pa.float64(), "CAST({} AS Float64)")
    return Column(name, pa.decimal128(precision, scale))


def _seconds(name: str, kind: str, digits: int, micro: pa.DataType, nano: pa.DataType, zone: str) -> Column:
    """Microseconds, or nanoseconds where the type has them: those that are none are refused by their value."""
    arrow, kept = (micro, 6) if digits <= 6 else (nano, 9)
    return Column(name, arrow, "" if digits == kept and not zone else f"CAST({{}} AS {kind}({kept}{zone}))")
