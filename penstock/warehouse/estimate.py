"""What a warehouse says of a query before it runs: rows, bytes and where it would sort."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec

from penstock.warehouse.interface import Warehouse, WarehouseError

SORTS = "in the warehouse"
STORED = "nowhere: it is read in the order of an index"
PERHAPS_STORED = "in the warehouse, unless the rows are stored in that order"
_POSTGRES_NODE = re.compile(r"cost=[\d.]+\.\.(?P<cost>[\d.]+) rows=(?P<rows>\d+) width=(?P<width>\d+)")
_POSTGRES_READ = re.compile(r"(?:->)?\s*(?:Parallel )?(?:Seq Scan|Index(?: Only)? Scan|Bitmap|Append|Gather|Result)\b")
_POSTGRES_SUBPLAN = re.compile(r"^\s*(?:SubPlan|InitPlan)\b")
_WIDTHS = {
    "BOOLEAN": 1,
    "TINYINT": 1,
    "UTINYINT": 1,
    "SMALLINT": 2,
    "USMALLINT": 2,
    "INTEGER": 4,
    "UINTEGER": 4,
    "FLOAT": 4,
    "DATE": 4,
    "HUGEINT": 16,
    "UUID": 16,
}
"""Bytes of DuckDB's types in Arrow; all others of a fixed size have 8, decimals 16."""
_TEXT_WIDTH = 16
"""What a text is taken to have, for want of statistics."""


class Estimate(msgspec.Struct, frozen=True):
    """What a query would return, by the warehouse's own planner. None and empty texts are unknown.

    - `row_bytes`: of one row. `sorts`: where the rows get into the order of the key.
    - `cost`: in the planner's or the vendor's own unit, with its name.
    - `only_reads`: the query joins, sorts, counts and limits nothing. Two runs cost little and return the same rows.
    - `unknown`: why nothing is known.
    """

    rows: int | None = None
    row_bytes: int | None = None
    sorts: str = ""
    cost: str = ""
    only_reads: bool = False
    unknown: str = ""


def untold(error: WarehouseError | str) -> Estimate:
    """The estimate of a query that is refused: the first line of the refusal, as part of a sentence."""
    if isinstance(error, WarehouseError):
        error = f"expected {error.expected}, found {error.found}" if error.expected else error.found
    return Estimate(unknown=error.partition("\n")[0].removesuffix("."))


@runtime_checkable
class Planner(Protocol):
    """A kind of warehouse that can tell about a query without running it."""

    def estimate(self, query: str, bound: Mapping[str, Any] | None = None, *, key: Sequence[str] = ()) -> Estimate:
        """What `batches` would return for the same arguments. A query that is refused is `unknown`, not an error."""


def estimate(
    warehouse: Warehouse, query: str, bound: Mapping[str, Any] | None = None, *, key: Sequence[str] = ()
) -> Estimate:
    """What a warehouse of any kind says of a query before it runs. WarehouseError if the warehouse is not there."""
    if not isinstance(warehouse, Planner):
        return Estimate(unknown=f"a warehouse of the kind {warehouse.dialect!r} is not asked for its plans")
    return warehouse.estimate(query, bound, key=key)


def from_postgres(lines: Sequence[str], key: Sequence[str]) -> Estimate:
    """The estimate in the text of an EXPLAIN of Postgres or Redshift; its first line is about the whole result."""
    found = _POSTGRES_NODE.search(lines[0]) if lines else None
    if found is None:
        return Estimate(unknown=f"the plan begins with {lines[0]!r}" if lines else "the plan is empty")
    nodes = [line.partition("(cost=")[0].strip() for line in lines if "(cost=" in line]
    sorts = (SORTS if any(node.endswith("Sort") for node in nodes) else STORED) if key else ""
    cost = f"{float(found['cost']):,.0f} of the planner's units"
    only_reads = all(map(_POSTGRES_READ.match, nodes)) and not any(map(_POSTGRES_SUBPLAN.match, lines))
    return Estimate(int(found["rows"]), int(found["width"]), sorts, cost, only_reads)


def from_duckdb(plan: Mapping[str, Any], types: Iterable[str], sorts: str) -> Estimate:
    """The estimate in the plan of DuckDB. Without an estimated cardinality the rows are unknown."""
    rows = plan.get("extra_info", {}).get("Estimated Cardinality")
    return Estimate(int(rows) if rows is not None else None, sum(map(_width, types)), sorts)


def _width(kind: str) -> int:
    if kind.startswith(("VARCHAR", "BLOB", "ENUM")):
        return _TEXT_WIDTH
    return 16 if kind.startswith("DECIMAL") else _WIDTHS.get(kind, 8)
